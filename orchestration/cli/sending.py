"""The sender's switch, its progress, and what became of messages whose end nobody saw."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from closedloop.settings import Settings
from orchestration.cli.front import Context, as_json, cli, complain, lines, show

if TYPE_CHECKING:
    from dispatch.sender import SendReport

EVERY_SECONDS = 10
"""Where there is no terminal, so often a line says how far it is."""


@contextmanager
def progress_of(settings: Settings, *, is_shown: bool) -> Iterator[Callable[[SendReport], None] | None]:
    """What a run of the sender calls after each group: a bar with rate and time left on a terminal, else a line now and
    then; both on stderr."""
    if not is_shown:
        yield None
    elif sys.stderr.isatty():
        yield from _bar(settings)
    else:
        yield _lines()


def _bar(settings: Settings) -> Iterator[Callable[[SendReport], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from closedloop.ledger import Ledger
    from closedloop.ledger.delivery import count_pending

    settings.ensure_home()
    with Ledger.open(settings) as ledger:
        pending = count_pending(ledger)
    columns = (TextColumn("sending"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bar:
        task, began = bar.add_task("", total=pending, rate=""), time.monotonic()

        def show_group(report: SendReport) -> None:
            rate = report.handled / max(time.monotonic() - began, 0.001)
            done = report.handled + sum(report.suppressed.values()) + sum(report.held.values())
            bar.update(task, completed=done, total=max(pending, done), rate=f"{rate:,.0f} a second")

        yield show_group


def _lines() -> Callable[[SendReport], None]:
    began = last = time.monotonic()

    def show_group(report: SendReport) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= EVERY_SECONDS:
            last = now
            click.echo(f"handed over {report.handled:,}, {report.handled / (now - began):,.0f} a second", err=True)

    return show_group


@cli.group()
def sending() -> None:
    """The switch that stops all mail at once."""


@sending.command("off")
@click.option("--by", required=True, help="Who decides.")
@click.option("--why", required=True, help="Kept in the ledger.")
@click.pass_obj
def sending_off(context: Context, by: str, why: str) -> None:
    """Hand nothing to any mail server, from the next group on; everything stays pending."""
    _turn(context, on=False, by=by, why=why)


@sending.command("on")
@click.option("--by", required=True, help="Who decides.")
@click.option("--why", default="", help="Kept in the ledger.")
@click.pass_obj
def sending_on(context: Context, by: str, why: str) -> None:
    """Send again."""
    _turn(context, on=True, by=by, why=why)


def _turn(context: Context, *, on: bool, by: str, why: str) -> None:
    from orchestration import work

    changed = work.turn_sending(context.settings, on=on, by=by, reason=why, now=context.clock.now())
    click.echo(f"sending is {'on' if on else 'off'}{'' if changed else ' already'}")


@sending.command("status")
@as_json
@click.pass_obj
def sending_status(context: Context, as_json: bool) -> None:
    """Whether sending is on, and who turned it when and why."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.switches import SENDING, state

    context.settings.ensure_home()
    with Ledger.open(context.settings) as ledger:
        found = state(ledger, SENDING)
    words = f"sending is {'on' if found['is_on'] else 'off'}"
    if found["changed_by"]:
        words += f", by {found['changed_by']} at {found['changed_at']:%Y-%m-%d %H:%M} UTC"
        words += f": {found['reason']}" if found["reason"] else ""
    show(found, as_json, words)
    complain("warning", context.settings.sending_warnings())


@cli.command()
@click.option(
    "--log",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Log of the mail server (Postfix, or JSON).",
)
@click.option("--complete", is_flag=True, help="The log has every message between its first line and its last.")
@as_json
@click.pass_obj
def reconcile(context: Context, log: Path | None, complete: bool, as_json: bool) -> None:
    """Resolve messages of which nobody knows whether they came.

    By opens, clicks, answers and delivery reports; and by the mail server's log, which also proves what it never took: that
    is pending again.
    """
    from orchestration import work

    found = work.reconcile(context.settings, log=log, complete=complete, now=context.clock.now())
    report = dataclasses.asdict(found)
    show(report, as_json, lines(report))
