"""The command line: thin over `orchestration.work`. Exit 0 on success, 2 on bad input, 1 on failure."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from closedloop.clock import Clock, parse_time
from closedloop.errors import BadInput, ClosedLoopError
from closedloop.settings import Settings, load_settings

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


# Ingest ------------------------------------------------------------------------------------------------------------


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


@ingest.command("responses")
@click.argument("file", type=click.Path(path_type=Path))
@as_json
@click.pass_obj
def ingest_responses(context: Context, file: Path, as_json: bool) -> None:
    """Read answers of another tool from FILE (CSV).

    Rows that cannot be answers wait in quarantine, the rest is loaded.
    """
    from orchestration import work

    report = work.ingest_responses(context.settings, file, now=context.clock.now())
    counts = {name: value for name, value in report.as_dict().items() if name != "warnings"}
    show(report.as_dict(), as_json, lines(counts))
    complain("warning", report.warnings)


# Build, publish, seal ----------------------------------------------------------------------------------------------


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


# Send and follow up ------------------------------------------------------------------------------------------------


@cli.command()
@as_json
@click.pass_obj
def dispatch(context: Context, as_json: bool) -> None:
    """Send what is due: invitations that were sealed, and alerts."""
    from orchestration import work

    report = dataclasses.asdict(work.dispatch(context.settings, clock=context.clock))
    show(report, as_json, lines(report))


@cli.command()
@as_json
@click.pass_obj
def books(context: Context, as_json: bool) -> None:
    """What was planned and what became of it, by wave."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.books import WaveBooks, alert_books, total
    from closedloop.ledger.books import books as read

    context.settings.ensure_home()
    with Ledger.open(context.settings) as ledger:
        waves, alerts = read(ledger), alert_books(ledger)
    columns = ("planned", "pending", "sent", "rejected", "suppressed", "uncertain")

    def entry(book: WaveBooks) -> dict[str, int]:
        return {name: getattr(book, name) for name in columns}

    rows = [(book.wave_id, entry(book)) for book in waves] + [("total", entry(total(waves))), ("alerts", entry(alerts))]
    table = [f"{'wave':<40}" + "".join(f"{name:>12}" for name in columns)]
    table += [f"{name:<40}" + "".join(f"{count:>12,}" for count in counts.values()) for name, counts in rows]
    result = {
        "waves": [{"wave": book.wave_id, "survey": book.survey_id, **entry(book)} for book in waves],
        "total": entry(total(waves)),
        "alerts": entry(alerts),
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
    head = f"{'invitation':<34}{'score':>6}  {'status':<12}{'assignee':<22}due (UTC)"
    body = [
        f"{row['invitation_id']:<34}{row['score']:>6}  {row['status']:<12}{row['assignee_id'] or '-':<22}{row['due_at']:%Y-%m-%d %H:%M}"
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


# Programmes, lists, explanations -----------------------------------------------------------------------------------


@cli.group()
def survey() -> None:
    """Check programmes, see whom they reach, try them."""


@survey.command("validate")
@as_json
@click.pass_obj
def survey_validate(context: Context, as_json: bool) -> None:
    """Check every programme in the surveys folder.

    What is wrong is named by file, line and field.
    """
    from closedloop.programme import load_surveys

    surveys = load_surveys(context.settings.surveys)
    rows = [{"id": s.id, "type": s.type, "status": s.status, "hash": s.definition_hash[:12]} for s in surveys]
    show(
        {"surveys": rows}, as_json, "\n".join(f"{r['id']:<24}{r['type']:<16}{r['status']:<8}{r['hash']}" for r in rows)
    )


@survey.command("plan")
@as_json
@click.pass_obj
def survey_plan(context: Context, as_json: bool) -> None:
    """Who would be asked, and who not by which rule.

    These are the proposals of the newest publication that are not decided (sealed) yet.
    """
    from orchestration.reports import plan

    found = plan(context.settings)
    text = "\n".join(
        f"{r['survey_id']:<24}{r['decision']:<6}{r['deciding_rule']:<18}{r['contacts']:>10,}" for r in found
    )
    show({"proposals": found}, as_json, text or "no proposals: everything due is decided")


@survey.command("preview")
@click.argument("survey_id")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="HTML file to write.")
@click.pass_obj
def survey_preview(context: Context, survey_id: str, output: Path) -> None:
    """Write a sample invitation as an HTML file."""
    from orchestration.reports import preview

    preview(context.settings, survey_id, output)
    click.echo(output)


@survey.command("test-send")
@click.argument("survey_id")
@click.option("--to", "address", required=True, help="Your own address.")
@click.pass_obj
def survey_test_send(context: Context, survey_id: str, address: str) -> None:
    """Send a sample invitation to yourself.

    It is outside the books and its links record nothing. While live sending is off, the address must be one of
    CLOSEDLOOP_ALLOWED_RECIPIENTS.
    """
    from orchestration.reports import test_send

    test_send(context.settings, survey_id, address)
    click.echo(f"sent {survey_id} to you")


@cli.group()
def exclude() -> None:
    """Contacts and accounts that are never asked."""


@exclude.command("add")
@click.argument("subject", type=click.Choice(["contact", "account"]))
@click.argument("subject_id")
@click.option("--reason", required=True, help="Why; kept with the entry.")
@click.option("--author", required=True, help="Who says so.")
@click.option("--until", type=Time(), help="End of the exclusion. Default: none.")
@click.pass_obj
def exclude_add(
    context: Context, subject: str, subject_id: str, reason: str, author: str, until: dt.datetime | None
) -> None:
    """Never ask this contact, or anyone of this account."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.lists import exclude_add as add
    from orchestration.reports import is_published

    with Ledger.open(context.settings) as ledger:
        add(ledger, subject, subject_id, reason=reason, author=author, until=until, now=context.clock.now())
    click.echo(f"excluded {subject} {subject_id}")
    if is_published(context.settings, subject, subject_id) is False:
        complain("warning", [f"the newest publication has no {subject} with this id; it is excluded should it come"])


@exclude.command("remove")
@click.argument("subject", type=click.Choice(["contact", "account"]))
@click.argument("subject_id")
@click.pass_obj
def exclude_remove(context: Context, subject: str, subject_id: str) -> None:
    """Take an entry off the list: may be asked again."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.lists import exclude_remove as remove

    with Ledger.open(context.settings) as ledger:
        remove(ledger, subject, subject_id, now=context.clock.now())
    click.echo(f"no longer excluded: {subject} {subject_id}")


@exclude.command("list")
@as_json
@click.pass_obj
def exclude_list(context: Context, as_json: bool) -> None:
    """Who is excluded, why, by whom and until when."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.lists import exclude_list as read

    with Ledger.open(context.settings) as ledger:
        rows = read(ledger)
    ends = [f"{row['until']:%Y-%m-%d %H:%M}" if row["until"] else "-" for row in rows]
    text = "\n".join(
        f"{r['subject']:<9}{r['subject_id']:<24}{r['author']:<16}{end:<18}{r['reason']}"
        for r, end in zip(rows, ends, strict=True)
    )
    head = f"{'subject':<9}{'id':<24}{'author':<16}{'until (UTC)':<18}reason\n"
    show({"exclusions": rows}, as_json, head + text if rows else "nobody is excluded")


@cli.command()
@click.option("--contact", "contact_id", required=True, help="Id of the contact.")
@click.option("--survey", "survey_id", help="Only this survey.")
@as_json
@click.pass_obj
def explain(context: Context, contact_id: str, survey_id: str | None, as_json: bool) -> None:
    """Why a contact was asked or not, and by which rule.

    Every sealed decision and open proposal of the newest publication, oldest first.
    """
    from orchestration.reports import explain as read

    rows = read(context.settings, contact_id, survey_id)
    text = "\n".join(
        f"{r['decided_as_of']:%Y-%m-%d}  {r['survey_id']:<20}{r['decision']:<6}{r['deciding_rule']:<18}{r['in_words']}"
        for r in rows
    )
    show({"decisions": rows}, as_json, text or "nothing was ever due for this contact")


# Long-running parts ------------------------------------------------------------------------------------------------


@cli.group()
def serve() -> None:
    """Run one part alone, on loopback, until Ctrl-C."""


@serve.command("collector")
@click.option("--port", default=8080, show_default=True, type=PORT)
@click.pass_obj
def serve_collector(context: Context, port: int) -> None:
    """The web application that respondents meet."""
    from ingestion.collector.serve import serve as run

    context.settings.ensure_home()
    run(context.settings, port)


@serve.command("mailbox")
@click.option("--port", default=8081, show_default=True, type=PORT)
@click.pass_obj
def serve_mailbox(context: Context, port: int) -> None:
    """The embedded mail sink and a viewer of its mails.

    The sink listens at CLOSEDLOOP_SMTP_URL, the viewer at --port.
    """
    from dispatch.mailbox import serve_mailbox as run

    context.settings.ensure_home()
    run(context.settings, port)


@serve.command("dashboard")
@click.option("--port", default=8501, show_default=True, type=PORT)
@click.pass_obj
def serve_dashboard(context: Context, port: int) -> None:
    """Pages over the published marts."""
    from dashboard.serve import run_dashboard as run

    run(context.settings, port)


@cli.command()
@click.option("--ui-port", default=3000, show_default=True, type=PORT)
@click.option("--collector-port", default=8080, show_default=True, type=PORT)
@click.option("--mailbox-port", default=8081, show_default=True, type=PORT)
@click.option("--dashboard-port", default=8501, show_default=True, type=PORT)
@click.pass_obj
def up(context: Context, **ports: int) -> None:
    """Start all parts, on loopback, until Ctrl-C.

    Dagster's UI and daemon, the collector, the mailbox and the dashboard; prints their addresses.
    """
    from orchestration.up import up as run

    context.settings.ensure_home()
    run(context.settings, **ports)


@cli.command()
@click.option(
    "--contacts", default=1500, show_default=True, type=click.IntRange(50, 1_000_000), help="Size of the company."
)
@click.option("--seed", default=7, show_default=True, help="The same seed and day make the same company.")
@click.option("--today", type=Time(), help="The demo's day. Default: today.")
@click.option(
    "--until",
    type=click.Choice(["ingest", "build", "plan", "send", "answer", "all"]),
    default="all",
    show_default=True,
    help="Stop after this step.",
)
@as_json
@click.pass_obj
def demo(context: Context, contacts: int, seed: int, today: dt.datetime | None, until: str, as_json: bool) -> None:
    """Make a company and play the programme once.

    Ingests, decides, sends, answers, follows up and publishes. Throws the home of an earlier demo away, and never touches
    one that no demo made.
    """
    from orchestration.demo_run import run_demo

    run_demo(context.settings, contacts=contacts, seed=seed, today=today, until=until, as_json=as_json)


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


if __name__ == "__main__":
    main()
