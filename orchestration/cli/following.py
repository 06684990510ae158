"""Closing the loop from the shell: follow-ups and their steps, the actions of workflows, and who is away."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from sqlalchemy import Connection

from closedloop.programme.steps import OUTCOMES, STEPS
from orchestration.cli.front import Context, Time, as_json, cli, lines, show

if TYPE_CHECKING:
    from dispatch.crm import WriteBackReport

by = click.option("--by", required=True, help="Who did it.")
at = click.option("--at", type=Time(), help="When. Default: now.")
note = click.option("--note", default="", help="Kept in the history.")


@cli.group("follow-up", invoke_without_command=True)
@click.pass_context
def follow_up(ctx: click.Context) -> None:
    """What follows answers.

    Without a command: let the workflows see new answers, and send the alerts, warnings and mails that are due.
    """
    if ctx.invoked_subcommand is None:
        from orchestration import work

        click.echo(lines(dataclasses.asdict(work.follow_up(ctx.obj.settings, clock=ctx.obj.clock))))


@follow_up.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are closed.")
@click.option("--assignee", help="Only those of this mail address.")
@as_json
@click.pass_obj
def follow_up_list(context: Context, everything: bool, assignee: str | None, as_json: bool) -> None:
    """Open follow-ups, the most urgent first."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.followups import list_followups

    with Ledger.open(context.settings) as ledger:
        rows = list_followups(ledger, include_closed=everything, assignee_email=assignee)
    head = f"{'invitation':<34}{'score':>5}  {'step':<15}{'due (UTC)':<18}{'assignee':<24}contact, account"
    body = [
        f"{row['invitation_id']:<34}{row['score']:>5}  {row['status']:<15}{row['due_at']:%Y-%m-%d %H:%M}  "
        f"{(row['assignee_name'] or row['assignee_id'] or '-')[:23]:<24}"
        + ", ".join(name for name in row["names"].values() if name)
        for row in rows
    ]
    show({"follow_ups": rows}, as_json, "\n".join([head, *body]) if rows else "no open follow-ups")


@follow_up.command("contacted")
@click.argument("invitation_id")
@by
@at
@note
@click.pass_obj
def follow_up_contacted(context: Context, invitation_id: str, by: str, at: dt.datetime | None, note: str) -> None:
    """Record the first contact, which stops both clocks."""
    from closedloop.ledger.followups import first_contact

    with _writing(context) as (conn, now):
        first_contact(conn, invitation_id, at=at or now, by=by, note=note, now=now)
    click.echo(f"first contact recorded for {invitation_id}")


@follow_up.command("step")
@click.argument("invitation_id")
@click.argument("step", type=click.Choice(STEPS[1:-1]))
@by
@at
@note
@click.pass_obj
def follow_up_step(context: Context, invitation_id: str, step: str, by: str, at: dt.datetime | None, note: str) -> None:
    """Move on to the next step: investigating, resolving, reported back."""
    from closedloop.ledger.followups import take_step

    with _writing(context) as (conn, now):
        take_step(conn, invitation_id, step, at=at or now, by=by, note=note, now=now)
    click.echo(f"{invitation_id}: {step}")


@follow_up.command("outcome")
@click.argument("invitation_id")
@click.argument("outcome", type=click.Choice(OUTCOMES))
@by
@at
@note
@click.pass_obj
def follow_up_outcome(
    context: Context, invitation_id: str, outcome: str, by: str, at: dt.datetime | None, note: str
) -> None:
    """Record how a follow-up ended, and close it."""
    from closedloop.ledger.followups import log_outcome

    with _writing(context) as (conn, now):
        log_outcome(conn, invitation_id, outcome, at=at or now, by=by, note=note, now=now)
    click.echo(f"{invitation_id}: {outcome}")


@follow_up.command("reopen")
@click.argument("invitation_id")
@by
@click.option("--why", required=True, help="What came up.")
@click.pass_obj
def follow_up_reopen(context: Context, invitation_id: str, by: str, why: str) -> None:
    """Take a closed follow-up up again."""
    from closedloop.ledger.followups import reopen

    with _writing(context) as (conn, now):
        reopen(conn, invitation_id, at=now, by=by, why=why, now=now)
    click.echo(f"reopened {invitation_id}")


@follow_up.command("note")
@click.argument("invitation_id")
@click.argument("note")
@by
@click.pass_obj
def follow_up_note(context: Context, invitation_id: str, note: str, by: str) -> None:
    """Add a note to the history."""
    from closedloop.ledger.followups import add_note

    with _writing(context) as (conn, now):
        add_note(conn, invitation_id, note, by=by, now=now)
    click.echo(f"noted for {invitation_id}")


@follow_up.command("hand-over")
@click.argument("invitation_id")
@click.option("--to", "email", required=True, help="Mail address of the one who goes on.")
@click.option("--name", default="", help="Their name.")
@click.option("--user", "person_id", help="Their id in the CRM.")
@by
@click.pass_obj
def follow_up_hand_over(
    context: Context, invitation_id: str, email: str, name: str, person_id: str | None, by: str
) -> None:
    """Let somebody else go on with it."""
    from closedloop.ledger.followups import reassign

    with _writing(context) as (conn, now):
        reassign(conn, invitation_id, name=name, email=email, person_id=person_id, by=by, now=now)
    click.echo(f"{invitation_id} goes to {email}")


@cli.group()
def actions() -> None:
    """What workflows planned, and what became of it."""


@actions.command("books")
@as_json
@click.pass_obj
def actions_books(context: Context, as_json: bool) -> None:
    """How many actions of each kind are planned, attempted, done, failed, skipped."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.actions import STATES, action_books

    context.settings.ensure_home()
    with Ledger.open(context.settings) as ledger:
        books = action_books(ledger)
    table = [f"{'action':<36}{'way':<10}" + "".join(f"{state:>11}" for state in STATES)]
    table += [
        f"{book['action']:<36}{book['way']:<10}" + "".join(f"{book[state]:>11,}" for state in STATES) for book in books
    ]
    show({"actions": books}, as_json, "\n".join(table))


@actions.command("list")
@click.option(
    "--state", type=click.Choice(("planned", "attempted", "failed", "skipped")), default="failed", show_default=True
)
@click.option("--limit", type=click.IntRange(1, 100_000), default=200, show_default=True)
@as_json
@click.pass_obj
def actions_list(context: Context, state: str, limit: int, as_json: bool) -> None:
    """Actions in one state, with the reason."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.actions import actions_in

    with Ledger.open(context.settings) as ledger:
        rows = actions_in(ledger, state, limit=limit)
    table = [f"{'invitation':<34}{'action':<32}{'tries':>6}  reason"]
    table += [
        f"{row['invitation_id']:<34}{row['action']:<32}{row['attempts']:>6}  {row['reason'] or ''}" for row in rows
    ]
    show({"actions": rows}, as_json, "\n".join(table) if rows else f"no {state} actions")


@actions.command("retry")
@click.option("--action", help="Only this one, such as detractor.task.")
@click.pass_obj
def actions_retry(context: Context, action: str | None) -> None:
    """Try again what failed for good, once its cause is mended."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.actions import retry_failed

    with Ledger.open(context.settings) as ledger:
        count = retry_failed(ledger, now=context.clock.now(), action=action)
    click.echo(f"{count:,} planned again")


@cli.command("write-back")
@as_json
@click.pass_obj
def write_back(context: Context, as_json: bool) -> None:
    """Tell the CRM what the workflows planned for it: answers, tasks, cases, timeline, health, opt-outs."""
    from orchestration import work

    def progress(report: WriteBackReport) -> None:
        if not as_json:
            click.echo(f"{report.done:,} done, {report.later:,} later, {report.failed:,} failed", err=True)

    report = work.write_back(context.settings, clock=context.clock, progress=progress)
    show(dataclasses.asdict(report), as_json, lines(dataclasses.asdict(report)))


@cli.group()
def absence() -> None:
    """Who is away: new follow-ups go to others."""


@absence.command("add")
@click.argument("email")
@click.option("--from", "since", type=Time(), help="Begins then. Default: now.")
@click.option("--until", type=Time(), required=True, help="Ends then (UTC).")
@click.option("--by", required=True, help="Who says so.")
@click.pass_obj
def absence_add(context: Context, email: str, since: dt.datetime | None, until: dt.datetime, by: str) -> None:
    """Someone is away."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.teams import record_absence

    now = context.clock.now()
    with Ledger.open(context.settings) as ledger:
        record_absence(ledger, email, since=since or now, until=until, by=by, now=now)
    click.echo(f"{email} is away until {until:%Y-%m-%d %H:%M} UTC")


@absence.command("end")
@click.argument("email")
@click.pass_obj
def absence_end(context: Context, email: str) -> None:
    """Someone is back."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.teams import end_absence

    with Ledger.open(context.settings) as ledger:
        ended = end_absence(ledger, email, now=context.clock.now())
    click.echo(f"{email} is back" if ended else f"{email} was not away")


@absence.command("list")
@as_json
@click.pass_obj
def absence_list(context: Context, as_json: bool) -> None:
    """Absences that last or are to come."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.teams import list_absences

    with Ledger.open(context.settings) as ledger:
        rows = list_absences(ledger, now=context.clock.now())
    text = "\n".join(f"{row['email']:<40}{row['since']:%Y-%m-%d %H:%M}  {row['until']:%Y-%m-%d %H:%M}" for row in rows)
    show({"absences": rows}, as_json, text or "everybody is here")


@contextmanager
def _writing(context: Context) -> Iterator[tuple[Connection, dt.datetime]]:
    """A transaction of the ledger, and the time."""
    from closedloop.ledger import Ledger

    with Ledger.open(context.settings) as ledger, ledger.write() as conn:
        yield conn, context.clock.now()
