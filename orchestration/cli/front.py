"""What every command shares: settings and clock, exit codes, and how results are shown."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click

from closedloop.clock import Clock, parse_time
from closedloop.errors import ClosedLoopError
from closedloop.settings import Settings, load_settings, misspelt

as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
PORT = click.IntRange(0, 65535)


class Time(click.ParamType):
    """A date or time, read as UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dt.datetime:
        if isinstance(value, dt.datetime):
            return value
        try:
            return parse_time(value)
        except ValueError:
            self.fail(f"'{value}' is not a date or time such as 2026-11-21 or 2026-11-21T09:00Z", param, ctx)


@dataclasses.dataclass
class Context:
    """What every command gets: the settings, read when first asked for, and their clock."""

    _settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        if self._settings is None:
            self._settings = load_settings()
        return self._settings

    @property
    def clock(self) -> Clock:
        return self.settings.clock()


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="closedloop")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Customer loyalty surveys (NPS): ingest, decide, send, listen, follow up, publish."""
    ctx.obj = ctx.obj or Context()
    for name, meant in misspelt(os.environ).items():
        complain("warning", [f"{name} is no setting and does nothing; did you mean {meant}?"])


def main() -> None:
    """Entry point: errors that we understand are printed without a traceback."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        click.echo("stopped", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except ClosedLoopError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except BrokenPipeError:  # `| head` has seen enough
        sys.stderr.close()
        sys.exit(1)
    except OSError as error:  # a full disk, a folder without permission
        if error.strerror is None:
            raise
        where = f"{error.filename}: " if error.filename else ""
        click.echo(f"error: {where}{error.strerror}", err=True)
        sys.exit(1)


def show(result: dict[str, Any], as_json: bool, text: str) -> None:
    """Print a report for a program or for a person."""
    click.echo(json.dumps(result, default=str, indent=2) if as_json else text)


def lines(result: dict[str, Any]) -> str:
    """Name and value, one a line, for people."""
    width = max((len(name) for name in result), default=0)
    return "\n".join(f"{name.replace('_', ' '):<{width}}  {_told(value)}" for name, value in result.items())


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {count:,}" for name, count in value.items() if count) or "-"
    if isinstance(value, float):
        return f"{value:.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def complain(kind: str, found: Iterable[object]) -> None:
    """Warnings or errors on standard error, each with its remedy."""
    for one in found:
        click.echo(f"{kind}: {one}", err=True)
