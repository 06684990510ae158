"""Programmes, lists, explanations."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from orchestration.cli.front import Context, Time, as_json, cli, complain, lines, show


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


@survey.command("schema")
def survey_schema() -> None:
    """Print the JSON schema of programmes.

    Editors complete and check a programme by it: `surveys/schema.json` holds it, and the first line of each programme
    names that file.
    """
    from closedloop.programme.files import schema_text

    click.echo(schema_text(), nl=False)


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


@exclude.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--author", required=True, help="Who says so.")
@click.option("--column", help="Column of the addresses. Default: email, e-mail, address or recipient.")
@as_json
@click.pass_obj
def exclude_import(context: Context, file: Path, author: str, column: str | None, as_json: bool) -> None:
    """Never write to the addresses in FILE (CSV), a suppression list of another tool.

    Rows that are no address wait in quarantine, the rest is loaded. The same file again changes nothing.
    """
    from orchestration import work

    report = work.import_suppressions(context.settings, file, author=author, column=column, now=context.clock.now())
    counts = {name: value for name, value in report.as_dict().items() if name != "warnings"}
    show(report.as_dict(), as_json, lines(counts))
    complain("warning", report.warnings)


@exclude.command("list")
@as_json
@click.pass_obj
def exclude_list(context: Context, as_json: bool) -> None:
    """Who is excluded, why, by whom and until when; and who was."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.lists import exclude_list as read

    with Ledger.open(context.settings) as ledger:
        rows = read(ledger, now=context.clock.now())
    ends = [f"{row['until']:%Y-%m-%d %H:%M}" if row["until"] else "-" for row in rows]
    text = "\n".join(
        f"{r['subject']:<9}{r['subject_id']:<24}{r['author']:<16}{r['state']:<8}{end:<18}{r['reason']}"
        for r, end in zip(rows, ends, strict=True)
    )
    head = f"{'subject':<9}{'id':<24}{'author':<16}{'state':<8}{'until (UTC)':<18}reason\n"
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
