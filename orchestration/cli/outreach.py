"""Out to people and back: dispatch, books, follow-up."""

from __future__ import annotations

import dataclasses
import datetime as dt

import click

from orchestration.cli.front import Context, Time, as_json, cli, lines, show


@cli.command()
@as_json
@click.pass_obj
def dispatch(context: Context, as_json: bool) -> None:
    """Send what is due: sealed invitations, reminders, alerts."""
    from orchestration import work
    from orchestration.cli.sending import progress_of

    with progress_of(context.settings, is_shown=not as_json) as progress:
        report = dataclasses.asdict(work.dispatch(context.settings, clock=context.clock, progress=progress))
    show(report, as_json, lines(report))


@cli.command()
@as_json
@click.pass_obj
def books(context: Context, as_json: bool) -> None:
    """What was planned and what became of it, by wave."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.books import WaveBooks, alert_books, reminder_books, total
    from closedloop.ledger.books import books as read

    context.settings.ensure_home()
    with Ledger.open(context.settings) as ledger:
        waves, others = read(ledger), (reminder_books(ledger), alert_books(ledger))
    columns = ("planned", "pending", "sent", "rejected", "suppressed", "uncertain")

    def entry(book: WaveBooks) -> dict[str, int]:
        return {name: getattr(book, name) for name in columns}

    rows = [(book.wave_id, entry(book)) for book in (*waves, total(waves), *others)]
    table = [f"{'wave':<40}" + "".join(f"{name:>12}" for name in columns)]
    table += [f"{name:<40}" + "".join(f"{count:>12,}" for count in counts.values()) for name, counts in rows]
    result = {
        "waves": [{"wave": book.wave_id, "survey": book.survey_id, **entry(book)} for book in waves],
        "total": entry(total(waves)),
        **{book.wave_id: entry(book) for book in others},
    }
    show(result, as_json, "\n".join(table))


@cli.command("approve-wave")
@click.argument("wave_id")
@click.option("--by", required=True, help="Who approves.")
@click.pass_obj
def approve_wave(context: Context, wave_id: str, by: str) -> None:
    """Let a wave over the size that needs approval be sent."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.delivery import approve_wave as approve

    with Ledger.open(context.settings) as ledger:
        approve(ledger, wave_id, by=by, now=context.clock.now())
    click.echo(f"approved {wave_id}")


@cli.group("follow-up", invoke_without_command=True)
@click.pass_context
def follow_up(ctx: click.Context) -> None:
    """Follow-ups of unhappy customers.

    Without a command: start the follow-up of new detractors, and send the alerts and warnings that are due.
    """
    if ctx.invoked_subcommand is None:
        from orchestration import work

        click.echo(lines(dataclasses.asdict(work.follow_up(ctx.obj.settings, clock=ctx.obj.clock))))


@follow_up.command("list")
@click.option("--all", "everything", is_flag=True, help="Also those that are closed.")
@as_json
@click.pass_obj
def follow_up_list(context: Context, everything: bool, as_json: bool) -> None:
    """Open follow-ups, the most urgent first."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.followups import list_followups

    with Ledger.open(context.settings) as ledger:
        rows = list_followups(ledger, include_closed=everything)
    head = f"{'invitation':<34}{'score':>5}  {'status':<12}{'due (UTC)':<18}{'assignee':<20}contact, account"
    body = [
        f"{row['invitation_id']:<34}{row['score']:>5}  {row['status']:<12}{row['due_at']:%Y-%m-%d %H:%M}  "
        f"{row['assignee_id'] or '-':<20}" + ", ".join(name for name in row["names"].values() if name)
        for row in rows
    ]
    show({"follow_ups": rows}, as_json, "\n".join([head, *body]) if rows else "no open follow-ups")


@follow_up.command("contacted")
@click.argument("invitation_id")
@click.option("--by", required=True, help="Who spoke with the customer.")
@click.option("--at", type=Time(), help="When. Default: now.")
@click.option("--note", default="", help="Kept in the ledger.")
@click.pass_obj
def follow_up_contacted(context: Context, invitation_id: str, by: str, at: dt.datetime | None, note: str) -> None:
    """Record the first contact, which stops both clocks."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.followups import first_contact

    now = context.clock.now()
    with Ledger.open(context.settings) as ledger:
        first_contact(ledger, invitation_id, at=at or now, by=by, note=note, now=now)
    click.echo(f"first contact recorded for {invitation_id}")


@follow_up.command("outcome")
@click.argument("invitation_id")
@click.argument("outcome", type=click.Choice(["resolved", "partially_resolved", "unresolvable", "no_response"]))
@click.option("--by", required=True, help="Who closes it.")
@click.option("--at", type=Time(), help="When. Default: now.")
@click.pass_obj
def follow_up_outcome(context: Context, invitation_id: str, outcome: str, by: str, at: dt.datetime | None) -> None:
    """Record how a follow-up ended."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.followups import log_outcome

    now = context.clock.now()
    with Ledger.open(context.settings) as ledger:
        log_outcome(ledger, invitation_id, outcome, at=at or now, by=by, now=now)
    click.echo(f"{invitation_id}: {outcome}")


@cli.command()
@click.argument("invitation_id")
@click.option("--by", required=True, help="Who decides.")
@click.option("--why", required=True, help="Such as: our own employee, a test.")
@click.pass_obj
def void(context: Context, invitation_id: str, by: str, why: str) -> None:
    """Take an answer out of all numbers: a test, an employee, fraud.

    It stays in the lake and in `fct_response_candidates`, with who and why in the ledger; the next build shows it.
    """
    from closedloop.ledger import Ledger
    from closedloop.ledger.answers import void as take_out

    now = context.clock.now()
    context.settings.ensure_home()
    with Ledger.open(context.settings) as ledger, ledger.write() as conn:
        take_out(conn, invitation_id, by=by, why=why, at=now, now=now)
    click.echo(f"voided the answer of {invitation_id}")
