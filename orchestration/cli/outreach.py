"""Out to people and back: dispatch, books, follow-up."""

from __future__ import annotations

import dataclasses

import click

from orchestration.cli.front import Context, as_json, cli, lines, show


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
    from closedloop.ledger.books import WaveBooks, alert_books, reminder_books, reply_books, total
    from closedloop.ledger.books import books as read

    context.settings.ensure_home()
    with Ledger.open(context.settings) as ledger:
        waves, others = read(ledger), (reminder_books(ledger), reply_books(ledger), alert_books(ledger))
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
