"""The keys that sign personal links."""

from __future__ import annotations

import click

from closedloop import keys as ring
from closedloop.errors import BadInput
from closedloop.settings import Settings
from orchestration.cli.front import Context, as_json, cli, show


@cli.group()
def keys() -> None:
    """The keys that sign personal links: the newest signs, older ones still open theirs."""


@keys.command("list")
@as_json
@click.pass_obj
def keys_list(context: Context, as_json: bool) -> None:
    """All keys by their fingerprints; a key itself is never shown."""
    found = [ring.fingerprint(key) for key in ring.keys_of(context.settings.link_secret)]
    words = "\n".join(
        f"{one}  {'opens links' if number else 'signs and opens links'}" for number, one in enumerate(found)
    )
    show(found, as_json, words)


@keys.command("rotate")
@click.pass_obj
def keys_rotate(context: Context) -> None:
    """Sign with a new key from now on; a running collector knows it at once, links that are out stay good."""
    _in_the_home(context.settings)
    click.echo(f"{ring.rotate(context.settings.keys_file)} signs from now on")


@keys.command("drop")
@click.argument("fingerprint")
@click.pass_obj
def keys_drop(context: Context, fingerprint: str) -> None:
    """Forget an older key: every link that it signed is wrong from now on."""
    _in_the_home(context.settings)
    ring.drop(context.settings.keys_file, fingerprint)
    click.echo(f"{fingerprint} opens nothing any more")


def _in_the_home(settings: Settings) -> None:
    if settings.secret_key.strip():
        raise BadInput(
            "the keys stand in the environment, not in the home",
            field="CLOSEDLOOP_SECRET_KEY",
            remedy="write the new key before the old one there, with a blank between them, and start the parts again",
        )
    _ = settings.link_secret  # the first one, on a new home
