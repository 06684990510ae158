"""Programmes, lists, explanations."""

from __future__ import annotations

import dataclasses
import datetime as dt
from pathlib import Path

import click

from closedloop.errors import BadInput
from orchestration.cli.front import Context, Time, as_json, cli, complain, lines, show
from orchestration.expectation import SEGMENTS


@cli.group()
def survey() -> None:
    """Check programmes, see whom they reach, try them."""


@survey.command("validate")
@as_json
@click.pass_obj
def survey_validate(context: Context, as_json: bool) -> None:
    """Check every programme in the surveys folder.

    What is wrong is named by file, line and field. Where data of the CRM has come in, a field that it does not have is
    a warning: a filter on it asks nobody. So is an action that can reach nobody as the settings are.
    """
    from closedloop.programme import load_surveys
    from orchestration.action_warnings import action_warnings
    from orchestration.programme_fields import field_warnings

    surveys = load_surveys(context.settings.surveys)
    rows = [{"id": s.id, "type": s.type, "status": s.status, "hash": s.definition_hash[:12]} for s in surveys]
    show(
        {"surveys": rows}, as_json, "\n".join(f"{r['id']:<24}{r['type']:<16}{r['status']:<8}{r['hash']}" for r in rows)
    )
    complain("warning", field_warnings(context.settings, surveys))
    complain("warning", action_warnings(context.settings, surveys))
    complain("warning", context.settings.sending_warnings())
    if not context.settings.sms_url:
        remedy = "sends text messages, and no provider is set up\n  what to do: set CLOSEDLOOP_SMS_URL"
        complain("warning", [f"{survey.id} {remedy}" for survey in surveys if "sms" in survey.channels])


@survey.command("schema")
def survey_schema() -> None:
    """Print the JSON schema of programmes.

    Editors complete and check a programme by it: `surveys/schema.json` holds it, and the first line of each programme
    names that file.
    """
    from closedloop.programme.files import schema_text

    click.echo(schema_text(), nl=False)


@survey.command("plan")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--as-of", type=Time(), help="From this time on. Default: now.")
@click.option(
    "--days", type=click.IntRange(0, 366), default=30, show_default=True, help="So many days more than today."
)
@click.option(
    "--by", type=click.Choice(SEGMENTS), default="tier", show_default=True, help="Segment of the expectations."
)
@click.option("--markdown", is_flag=True, help="For a pull request.")
@as_json
@click.pass_obj
def survey_plan(
    context: Context, file: Path | None, as_of: dt.datetime | None, days: int, by: str, markdown: bool, as_json: bool
) -> None:
    """Whom the programmes would ask now and in the next days, whom not, and why.

    With FILE, the plan of that programme in place of its namesake in the surveys folder, as if it were active. Nothing is
    decided or sent: the models that decide play the days through on the newest facts. What is not in the CRM yet is in no
    plan.
    """
    from orchestration import planning_words, work

    say = None if as_json or markdown else lambda text: click.echo(f"  {text}", err=True)
    found = work.plan(context.settings, file, as_of=as_of, now=context.clock.now(), days=days, by=by, progress=say)
    text = planning_words.plan_as_markdown(found) if markdown else planning_words.plan_as_text(found)
    show(found, as_json, text)


@survey.command("preview")
@click.argument("survey_id")
@click.option("--output", type=click.Path(path_type=Path), required=True, help="HTML file, or a folder for pictures.")
@click.option("--language", help="One of the survey's. Default: its own.")
@click.pass_obj
def survey_preview(context: Context, survey_id: str, output: Path, language: str | None) -> None:
    """What people would see of a survey, for a made-up person.

    With an OUTPUT that ends in .html the mail alone. Else a folder: the mail, and pictures of mail, page, panel and card at
    desktop, tablet and phone width; they need Chromium. In a browser: <collector>/preview/SURVEY/all.
    """
    from orchestration import previews

    if output.suffix.lower() in (".html", ".htm"):
        previews.write_mail(context.settings, survey_id, output, language=language)
        click.echo(output)
        return
    for file in previews.take_pictures(context.settings, survey_id, output, language=language):
        click.echo(file)


@survey.command("links")
@click.argument("survey_id")
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write to.")
@click.option("--qr", is_flag=True, help="A QR code (SVG) for each link too.")
@click.option("--blocks", is_flag=True, help="The eleven score buttons as HTML too, for a mail of your own.")
@click.option("--again", is_flag=True, help="Links from before too, unless answered or over.")
@as_json
@click.pass_obj
def survey_links(
    context: Context, survey_id: str, output: Path, qr: bool, blocks: bool, again: bool, as_json: bool
) -> None:
    """Personal links of a survey with `channels: [link]`, which you hand out yourself.

    Writes a table of all invitations that wait. They are on the books as sent from then on, so that cooldowns count.
    """
    from orchestration import work

    tell = None if as_json else lambda report: click.echo(f"  {report.new + report.again:,} links", err=True)
    found = work.hand_out_links(
        context.settings,
        survey_id,
        output,
        qr=qr,
        blocks=blocks,
        again=again,
        now=context.clock.now(),
        progress=tell,
    )
    result = {"table": str(found.table), **dataclasses.asdict(found.handed_out)}
    show(result, as_json, lines(result))


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
@click.option("--as-of", type=Time(), help="What was decided by then. Default: all.")
@as_json
@click.pass_obj
def explain(context: Context, contact_id: str, survey_id: str | None, as_of: dt.datetime | None, as_json: bool) -> None:
    """Why a contact was asked or not: each decision with its rule and facts.

    Every sealed decision and open proposal of the newest publication, oldest first.
    """
    from orchestration.explain import as_text
    from orchestration.explain import explain as read

    found = read(context.settings, contact_id, survey_id, as_of=as_of)
    show(found, as_json, as_text(found))


@cli.command("what-if")
@click.option("--survey", "survey_id", required=True, help="Id of the survey.")
@click.option("--from", "first", type=Time(), required=True, help="First UTC day to play through.")
@click.option("--to", "last", type=Time(), required=True, help="Last UTC day, included.")
@click.option("--cooldown-days", type=int)
@click.option("--cooldown-scope", type=click.Choice(["global", "family", "survey"]))
@click.option("--skip-after-response-days", type=int)
@click.option("--max-age-days", type=int)
@click.option("--delay-days", type=int, help="Of every trigger.")
@click.option("--where", help="Another filter; '' lets everyone in.")
@click.option("--spread-days", type=int, help="Of the wave.")
@click.option("--alone", is_flag=True, help="As if no other survey were running in these days.")
@as_json
@click.pass_obj
def what_if(
    context: Context,
    survey_id: str,
    first: dt.datetime,
    last: dt.datetime,
    alone: bool,
    as_json: bool,
    **changes: object,
) -> None:
    """What a changed rule would have done, beside today's rules.

    Plays every UTC day from --from to --to through, each day's decisions standing on what the replay itself sent before.
    """
    from orchestration import planning_words, work

    say = None if as_json else lambda text: click.echo(f"  {text}", err=True)
    found = work.what_if(
        context.settings,
        survey_id,
        {name: value for name, value in changes.items() if value is not None},
        first=first.date(),
        last=last.date(),
        alone=alone,
        now=context.clock.now(),
        progress=say,
    )
    show(found, as_json, planning_words.what_if_as_text(found))


@cli.group()
def widget() -> None:
    """The survey in your own application and in the customers' portal."""


@widget.command("context")
@click.argument("contact_id")
@click.option(
    "--minutes", default=60, show_default=True, type=click.IntRange(1, 60 * 24 * 30), help="Good for so long."
)
@click.pass_obj
def widget_context(context: Context, contact_id: str, minutes: int) -> None:
    """Sign who a visitor is, to try the widget out; your own server makes these for each of your pages."""
    from closedloop.contexts import make_context

    if not context.settings.widget_secret:
        raise BadInput(
            "no secret is set", field="CLOSEDLOOP_WIDGET_SECRET", remedy="set it to a long random text without blanks"
        )
    expires = context.clock.now() + dt.timedelta(minutes=minutes)
    click.echo(make_context(context.settings.widget_secret, contact_id, expires=expires))
