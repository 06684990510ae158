"""Outgoing webhooks from the shell: what became of them, and sending again."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlsplit

import click

from closedloop.errors import Refused
from closedloop.settings import webhook_named
from closedloop.webhooks import Webhook
from orchestration.cli.front import Context, Time, as_json, cli, complain, lines, show


class SequenceOrTime(click.ParamType):
    """An event's number in the ledger, or a time."""

    name = "seq or time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | dt.datetime:
        if isinstance(value, int | dt.datetime):
            return value
        return int(value) if value.isascii() and value.isdigit() else Time().convert(value, param, ctx)


@cli.group()
def webhooks() -> None:
    """Tell other systems of answers and follow-ups."""


@webhooks.command("deliver")
@click.pass_obj
def deliver(context: Context) -> None:
    """Send what is due to all endpoints and chats."""
    from orchestration import work

    told = work.deliver_webhooks(context.settings, clock=context.clock)
    for name in told.webhooks.switched_off:
        remedy = f"\n  what to do: mend its address, then `closedloop webhooks resume {name}`"
        complain("warning", [f"endpoint '{name}' answers 410, it wants no more, and is switched off{remedy}"])
    counts = {name: getattr(told.webhooks, name) for name in ("queued", "delivered", "waiting", "failed")}
    click.echo(lines({**counts, "chats": told.chats}))


@webhooks.command("list")
@as_json
@click.pass_obj
def list_(context: Context, as_json: bool) -> None:
    """Endpoints, and what became of their events."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.webhooks import webhook_books

    context.settings.ensure_home()
    with Ledger.open(context.settings) as ledger:
        books = {book["name"]: book for book in webhook_books(ledger)}
    endpoints = {one.name: one for one in context.settings.webhooks}
    rows = [_row(name, endpoints.get(name), books.get(name)) for name in {**endpoints, **books}]
    head = f"{'endpoint':<24}{'host':<28}{'state':<14}{'waiting':>9}{'delivered':>11}{'failed':>8}  last error"
    body = [
        f"{row['name'][:23]:<24}{(row['host'] or '-')[:27]:<28}{row['state']:<14}{row['waiting']:>9,}{row['delivered']:>11,}"
        f"{row['failed']:>8,}  {row['last_error'] or ''}"
        for row in rows
    ]
    show({"endpoints": rows}, as_json, "\n".join([head, *body]) if rows else "CLOSEDLOOP_WEBHOOKS names no endpoint")


def _row(name: str, endpoint: Webhook | None, book: dict[str, Any] | None) -> dict[str, Any]:
    """What is shown of an endpoint: its host, for the rest of an address may be a secret."""
    known = book or {}
    state = "on"
    if endpoint is None:
        state = "not set"
    elif book is None:
        state = "new"
    elif known["switched_off_at"] is not None:
        state = "switched off"
    return {
        "name": name,
        "host": urlsplit(endpoint.url).hostname if endpoint else None,
        "state": state,
        "events": list(endpoint.events) if endpoint else None,
        "include_personal": endpoint.include_personal if endpoint else None,
        "waiting": known.get("waiting", 0) + known.get("attempted", 0),
        **{count: known.get(count, 0) for count in ("delivered", "failed", "failures_in_row")},
        **{at: known.get(at) for at in ("first_seen_at", "rests_until", "switched_off_at", "last_error")},
    }


@webhooks.command("replay")
@click.argument("endpoint")
@click.option("--from", "first", type=SequenceOrTime(), required=True, help="The first event: its number, or a time.")
@click.option("--to", "last", type=SequenceOrTime(), help="The last one, included. Default: the newest.")
@click.option("--failed", "only_failed", is_flag=True, help="Only what was given up.")
@click.pass_obj
def replay(
    context: Context, endpoint: str, first: int | dt.datetime, last: int | dt.datetime | None, only_failed: bool
) -> None:
    """Send events again, with their ids.

    Also those from before the endpoint was set. The next delivery sends them.
    """
    from orchestration import work

    count = work.replay_webhooks(
        context.settings, endpoint, first, last, now=context.clock.now(), only_failed=only_failed
    )
    click.echo(f"{count:,} wait to be sent again")


@webhooks.command("test")
@click.argument("endpoint")
@click.pass_obj
def test(context: Context, endpoint: str) -> None:
    """Send a signed event of type `ping`."""
    from dispatch.webhooks import send_ping

    reply = send_ping(webhook_named(context.settings, endpoint), clock=context.clock)
    if not reply.is_taken:
        raise Refused(
            f"endpoint '{endpoint}' did not take the ping: {reply.error}\n"
            "  what to do: see that its address in CLOSEDLOOP_WEBHOOKS is right, that it runs, and that it has the secret"
        )
    click.echo(f"'{endpoint}' took it: {reply.status}")


@webhooks.command("resume")
@click.argument("endpoint")
@click.pass_obj
def resume(context: Context, endpoint: str) -> None:
    """Send to an endpoint again that was switched off or rests.

    What happened while it was off comes by `replay`.
    """
    from closedloop.ledger import Ledger
    from closedloop.ledger.webhooks import resume as switch_on

    webhook_named(context.settings, endpoint)
    with Ledger.open(context.settings) as ledger:
        switch_on(ledger, endpoint)
    click.echo(f"'{endpoint}' is on")
