"""From the CRM to the shop window: ingest, build, publish, seal, upkeep."""

from __future__ import annotations

import dataclasses
import datetime as dt
import sys
from pathlib import Path
from typing import Any

import click

from closedloop.clock import Clock
from closedloop.errors import BadInput
from closedloop.settings import Crm
from orchestration.cli.front import Context, Time, as_json, cli, complain, lines, show


@cli.group()
def ingest() -> None:
    """Read CRM exports or answers of other tools into the lake."""


@ingest.command("crm")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--mapping", type=click.Path(path_type=Path), help="Field mapping (YAML); default: the setting.")
@as_json
@click.pass_obj
def ingest_crm(context: Context, folder: Path, mapping: Path | None, as_json: bool) -> None:
    """Read the export folder(s) in FOLDER.

    What is faulty waits in quarantine, the rest is loaded. Exit code 2 when a file or a part of one was kept out.
    """
    from orchestration import work

    say = None if as_json else lambda text: click.echo(f"  {text}", err=True)
    report = work.ingest_crm(context.settings, folder, now=context.clock.now(), mapping=mapping, progress=say)
    show(report.as_dict(), as_json, dataclasses.replace(report, errors=[], warnings=[]).summary())
    complain("warning", report.warnings)
    complain("error", report.errors)
    if report.errors:
        sys.exit(BadInput.exit_code)


full = click.option("--full", is_flag=True, help="Everything, not only what changed since the last time.")
only = click.option(
    "--object", "only", multiple=True, help="Only this object of the mapping, such as account; may be repeated."
)


@ingest.command("salesforce")
@full
@only
@as_json
@click.pass_obj
def ingest_salesforce(context: Context, full: bool, only: tuple[str, ...], as_json: bool) -> None:
    """Read what changed in Salesforce (docs/salesforce.md), on from where the lake ends.

    Exit code 1 when Salesforce was away or a limit was reached: what was read until then is loaded, and the next run goes on.
    """
    _ingest_changes(context, "salesforce", full, only, as_json)


@ingest.command("hubspot")
@full
@only
@as_json
@click.pass_obj
def ingest_hubspot(context: Context, full: bool, only: tuple[str, ...], as_json: bool) -> None:
    """Read what changed in HubSpot (docs/another-crm.md), on from where the lake ends.

    Exit code 1 when HubSpot was away or a limit was reached: what was read until then is loaded, and the next run goes on.
    """
    _ingest_changes(context, "hubspot", full, only, as_json)


def _ingest_changes(context: Context, source: Crm, full: bool, only: tuple[str, ...], as_json: bool) -> None:
    from orchestration import work

    say = None if as_json else lambda text: click.echo(f"  {text}", err=True)
    report = work.ingest_changes(context.settings, source, clock=context.clock, full=full, only=only, progress=say)
    crm = report.crm
    result = {
        "fetched": report.fetched,
        "stopped": report.stopped,
        "warnings": report.warnings,
        "loaded": crm.as_dict() if crm else None,
    }
    shown = dataclasses.replace(crm, errors=[], warnings=[]).summary() if crm else "nothing has changed"
    show(result, as_json, shown)
    complain("warning", [*report.warnings, *(crm.warnings if crm else [])])
    complain("error", crm.errors if crm else [])
    if report.stopped:
        click.echo(f"stopped: {report.stopped}\n  what to do: run it again later; it goes on from here", err=True)
        sys.exit(1)


@ingest.command("bounces")
@as_json
@click.pass_obj
def ingest_bounces(context: Context, as_json: bool) -> None:
    """Read bounces and complaints from the mailbox that CLOSEDLOOP_BOUNCE_MAILBOX names.

    A hard bounce or a complaint suppresses the address. What is read is marked as seen.
    """
    from orchestration import work

    report = dataclasses.asdict(work.ingest_bounces(context.settings, now=context.clock.now()))
    show(report, as_json, lines(report))


@ingest.command("responses")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--from", "tool", help="The tool that exported FILE: delighted, formbricks, qualtrics, ... Default: our CSV."
)
@click.option("--survey", help="The survey's name here. Default: the tool's.")
@click.option(
    "--survey-type", type=click.Choice(["relationship", "transactional"]), default="relationship", show_default=True
)
@click.option("--question", help="Id or column of the question that is the score.")
@click.option("--comment", help="Id or column of the question that is the comment.")
@click.option("--scale", help="Scale of the score where the tool does not tell, such as 1-7.")
@click.option("--time-zone", default="UTC", show_default=True, help="Of times without an offset.")
@click.option("--details", type=click.Path(path_type=Path), help="The tool's description of the survey (JSON).")
@as_json
@click.pass_obj
def ingest_responses(context: Context, file: Path, tool: str | None, as_json: bool, **said: Any) -> None:
    """Read answers of another tool from FILE.

    FILE is a CSV in the columns of docs/response-import.md, or with --from what a tool exports. Rows that cannot be answers
    wait in quarantine, the rest is loaded.
    """
    from ingestion.sources.tools.rows import asked_of
    from orchestration import work

    now = context.clock.now()
    if tool is None:
        if named := [name for name, value in said.items() if value not in (None, "relationship", "UTC")]:
            raise BadInput("says something about another tool's file", field=named[0], remedy="add --from TOOL")
        report = work.ingest_responses(context.settings, file, now=now)
    else:
        report = work.ingest_tool(context.settings, tool, file, asked=asked_of(**said), now=now)
    counts = {name: value for name, value in report.as_dict().items() if name != "warnings"}
    show(report.as_dict(), as_json, lines(counts))
    complain("warning", report.warnings)


@cli.command()
@click.option("--as-of", type=Time(), help="What had happened by then. Default: now.")
@click.option("--known-at", type=Time(), help="What we knew by then. Default: now.")
@click.option("--like", metavar="PUBLICATION", help="Repeat a publication: its times and its cut of the lake.")
@as_json
@click.pass_obj
def build(
    context: Context, as_of: dt.datetime | None, known_at: dt.datetime | None, like: str | None, as_json: bool
) -> None:
    """Run dbt and all checks, and publish the marts."""
    from orchestration import work

    say = None if as_json else lambda text: click.echo(f"  {text}", err=True)
    publication = work.build(
        context.settings, as_of=as_of, known_at=known_at, now=context.clock.now, like=like, progress=say
    )
    show(
        {"publication_id": publication, "marts": str(context.settings.marts_file)},
        as_json,
        f"published {publication}\n{context.settings.marts_file}",
    )


@cli.command()
@click.argument("build_id")
@click.pass_obj
def publish(context: Context, build_id: str) -> None:
    """Publish a build whose required checks have all passed."""
    from orchestration.publish import publish as put

    click.echo(f"published {put(context.settings, build_id, now=context.clock.now())}")


@cli.command()
@click.argument("publication_id", required=False)
@as_json
@click.pass_obj
def seal(context: Context, publication_id: str | None, as_json: bool) -> None:
    """Make proposals decisions; the asks wait to be sent.

    PUBLICATION_ID is the newest one unless given; only the newest one can be sealed.
    """
    from orchestration import work

    sealed = dataclasses.asdict(work.seal(context.settings, publication_id, now=context.clock.now()))
    show(sealed, as_json, lines(sealed))


@cli.command()
@as_json
@click.pass_obj
def tidy(context: Context, as_json: bool) -> None:
    """Upkeep of the lake: compact files, drop old snapshots.

    A snapshot that a kept publication stands on stays.
    """
    from orchestration import work

    context.settings.ensure_home()
    done = work.tidy(context.settings, wall_time=Clock().now())
    show(done, as_json, lines(done))


@cli.command("dev-target")
@click.option("--as-of", type=Time(), help="Default: now.")
@click.pass_obj
def dev_target(context: Context, as_of: dt.datetime | None) -> None:
    """Prepare an analyst's own warehouse file.

    For `dbt build --target dev --select ...` by hand; a running daemon is not disturbed. Prints the file.
    """
    from orchestration import work

    click.echo(work.open_dev_target(context.settings, as_of=as_of or context.clock.now()))


@cli.command()
@click.argument("mart")
@click.argument("output", type=click.Path(path_type=Path))
@click.pass_obj
def export(context: Context, mart: str, output: Path) -> None:
    """Write one published mart to OUTPUT (.csv or .parquet)."""
    from orchestration.reports import export_mart

    if output.suffix not in {".csv", ".parquet"}:
        raise BadInput("the output file must end in .csv or .parquet", file=output, remedy="rename it")
    click.echo(f"{export_mart(context.settings, mart, output):,} rows")
