"""What a person records, decides or starts, from the launchpad as well as from the command line."""

from pathlib import Path
from typing import Literal

from dagster import AssetMaterialization, Config, MetadataValue, OpExecutionContext, ResourceParam, job, op
from pydantic import Field

from closedloop.clock import Clock
from orchestration.common import catalogue as names
from orchestration.common.failures import RETRIES, failures_told_apart
from orchestration.common.platform import Platform


class Exclusion(Config):
    """One contact or account that is not to be asked (or may be asked again)."""

    action: Literal["add", "remove"] = "add"
    subject: Literal["contact", "account"] = "contact"
    subject_id: str = Field(description="Id in the CRM.")
    reason: str = Field(default="", description="Why; needed to add.")
    author: str = Field(default="", description="Who decided; needed to add.")
    until: str = Field(default="", description="End of the exclusion (UTC date or time). Empty: none.")


@op(retry_policy=RETRIES)
def change_exclusions(config: Exclusion, platform: ResourceParam[Platform]) -> None:
    """Add to the exclusion list, or take off it."""
    from closedloop.errors import BadInput
    from closedloop.ledger import Ledger
    from closedloop.ledger.lists import exclude_add, exclude_remove

    with failures_told_apart(), Ledger.open(platform.settings) as ledger:
        if config.action == "remove":
            exclude_remove(ledger, config.subject, config.subject_id, now=platform.now())
            return
        for field in ("reason", "author"):
            if not getattr(config, field).strip():
                raise BadInput("needed to exclude somebody", field=field, remedy="fill it in")
        exclude_add(
            ledger,
            config.subject,
            config.subject_id,
            reason=config.reason,
            author=config.author,
            until=platform.time(config.until, field="until") if config.until else None,
            now=platform.now(),
        )


class SuppressionList(Config):
    """Addresses that must never get mail, as another tool exported them."""

    file: str = Field(description="Path of a CSV file.")
    author: str = Field(description="Who decides.")
    column: str = Field(default="", description="Column of the addresses. Empty: email, e-mail, address or recipient.")


@op(retry_policy=RETRIES)
def import_suppressions(
    context: OpExecutionContext, config: SuppressionList, platform: ResourceParam[Platform]
) -> None:
    """Never write to these addresses again; rows that are no address wait in quarantine."""
    from orchestration import work

    with failures_told_apart():
        report = work.import_suppressions(
            platform.settings,
            Path(config.file),
            author=config.author,
            column=config.column or None,
            now=platform.now(),
        )
    for warning in report.warnings:
        context.log.warning(str(warning))
    if report.new_in_quarantine:
        context.log_event(
            AssetMaterialization(
                names.lake_key(names.QUARANTINE), metadata={"new_rows": report.new_in_quarantine, **report.reasons}
            )
        )
    context.log.info(f"loaded: {report.loaded:,}, known: {report.known:,}, in quarantine: {report.quarantined:,}")


class PersonalLinks(Config):
    """A survey with `channels: [link]`, and where its links go."""

    survey: str = Field(description="Id of the survey.")
    folder: str = Field(description="Folder to write to.")
    qr: bool = Field(default=False, description="A QR code for each link too.")
    blocks: bool = Field(default=False, description="The score buttons as HTML too.")
    again: bool = Field(default=False, description="Links from before too, unless answered or over.")


@op(retry_policy=RETRIES)
def hand_out_links(context: OpExecutionContext, config: PersonalLinks, platform: ResourceParam[Platform]) -> None:
    """Write the personal links that wait, for the company to hand out; they count as sent from then on."""
    from orchestration import work

    with failures_told_apart():
        found = work.hand_out_links(
            platform.settings,
            config.survey,
            Path(config.folder),
            qr=config.qr,
            blocks=config.blocks,
            again=config.again,
            now=platform.now(),
        )
    out = found.handed_out
    held, suppressed = sum(out.held.values()), sum(out.suppressed.values())
    context.log.info(f"{found.table}: new: {out.new:,}, again: {out.again:,}, held: {held:,}, closed: {suppressed:,}")


class Voided(Config):
    """An answer that is none: a test, an employee, fraud."""

    invitation_id: str = Field(description="Of the answer.")
    by: str = Field(description="Who decides.")
    why: str = Field(description="Kept in the ledger.")


@op(retry_policy=RETRIES)
def void_answer(config: Voided, platform: ResourceParam[Platform]) -> None:
    """Take an answer out of all numbers; the next build shows it."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.answers import void

    now = platform.now()
    with failures_told_apart(), Ledger.open(platform.settings) as ledger, ledger.write() as conn:
        void(conn, config.invitation_id, by=config.by, why=config.why, at=now, now=now)


class Approval(Config):
    """A wave over the size that waits for a person."""

    wave_id: str = Field(description="As `closedloop books` shows it.")
    by: str = Field(description="Who approves.")


@op(retry_policy=RETRIES)
def approve_wave(config: Approval, platform: ResourceParam[Platform]) -> None:
    """Let a large wave be sent."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.delivery import approve_wave as approve

    with failures_told_apart(), Ledger.open(platform.settings) as ledger:
        approve(ledger, config.wave_id, by=config.by, now=platform.now())


class TestMail(Config):
    """One invitation to oneself."""

    survey_id: str = Field(description="Id of the survey programme.")
    to: str = Field(default="", description="Your own address. Empty: the operator's, from the settings.")


@op(retry_policy=RETRIES)
def send_test_mail(config: TestMail, platform: ResourceParam[Platform]) -> None:
    """Send one invitation to yourself; it is outside the books and its links record nothing."""
    from orchestration.reports import test_send

    with failures_told_apart():
        test_send(platform.settings, config.survey_id, config.to or platform.settings.operator_address)


class Question(Config):
    """A contact about whom somebody asks."""

    contact_id: str = Field(description="Id in the CRM.")
    survey_id: str = Field(default="", description="Only this survey. Empty: all.")
    as_of: str = Field(default="", description="What was decided by then (UTC date or time). Empty: all.")


@op(retry_policy=RETRIES)
def explain_decisions(context: OpExecutionContext, config: Question, platform: ResourceParam[Platform]) -> None:
    """Why a contact was asked or not: each decision with its rule and facts."""
    from orchestration.explain import as_text, explain

    with failures_told_apart():
        as_of = platform.time(config.as_of, field="as_of") if config.as_of else None
        found = explain(platform.settings, config.contact_id, config.survey_id or None, as_of=as_of)
    context.add_output_metadata(
        {
            "explanation": MetadataValue.md(f"```\n{as_text(found)}\n```"),
            "decisions": len(found["decisions"]),
        }
    )


class Notice(Config):
    """A plain mail to the operator."""

    subject: str
    text: str


@op(retry_policy=RETRIES)
def notify_operator(config: Notice, platform: ResourceParam[Platform]) -> None:
    """Send a plain mail to the operator's address."""
    from dispatch.notice import send_notice

    with failures_told_apart():
        send_notice(platform.settings, config.subject, config.text)


@op(retry_policy=RETRIES)
def tidy_lake(context: OpExecutionContext, platform: ResourceParam[Platform]) -> None:
    """Compact small files, drop snapshots that no kept publication stands on, remove files that none names."""
    from orchestration import work

    with failures_told_apart():
        done = work.tidy(platform.settings, wall_time=Clock().now())
    context.log.info(", ".join(f"{name.replace('_', ' ')}: {count:,}" for name, count in done.items()))


class Switch(Config):
    """All sending, on or off."""

    on: bool = Field(default=False, description="Off: nothing is handed to any mail server; everything stays pending.")
    by: str = Field(description="Who decides.")
    why: str = Field(default="", description="Kept in the ledger.")


@op(retry_policy=RETRIES)
def turn_sending(context: OpExecutionContext, config: Switch, platform: ResourceParam[Platform]) -> None:
    """Switch all sending on or off."""
    from orchestration import work

    with failures_told_apart():
        changed = work.turn_sending(
            platform.settings, on=config.on, by=config.by, reason=config.why, now=platform.now()
        )
    context.log.info(f"sending is {'on' if config.on else 'off'}{'' if changed else ' already'}")


class Evidence(Config):
    """What proves that a message came, or did not."""

    log: str = Field(
        default="", description="Path of the mail server's log (Postfix, or lines of JSON). Empty: our events."
    )
    complete: bool = Field(default=False, description="The log has every message between its first line and its last.")


@op(retry_policy=RETRIES)
def reconcile_messages(context: OpExecutionContext, config: Evidence, platform: ResourceParam[Platform]) -> None:
    """Resolve messages of which nobody knows whether they came, as far as there is evidence."""
    from orchestration import work

    with failures_told_apart():
        found = work.reconcile(
            platform.settings,
            log=Path(config.log) if config.log else None,
            complete=config.complete,
            now=platform.now(),
        )
    context.log.info(
        f"sent: {found.sent_by_events + found.sent_by_log:,}, never accepted: {found.not_accepted:,}, "
        f"still uncertain: {found.uncertain:,}"
    )


@op(retry_policy=RETRIES)
def read_bounces(context: OpExecutionContext, platform: ResourceParam[Platform]) -> None:
    """Read the mailbox of bounces."""
    from orchestration import work

    with failures_told_apart():
        report = work.ingest_bounces(platform.settings, now=platform.now())
    found = ", ".join(f"{kind}: {count:,}" for kind, count in sorted(report.found.items())) or "nothing new"
    context.log.info(f"read {report.read:,}, {found}, not about our mails: {report.not_ours:,}")


@job(description="Read the mailbox of bounces: hard ones and complaints suppress their addresses.")
def ingest_bounces_job() -> None:
    read_bounces()


@job(description="The switch that stops all mail at once, and lets it go again.")
def sending_job() -> None:
    turn_sending()


@job(description="Resolve messages of which nobody knows whether they came: by events, or the mail server's log.")
def reconcile_job() -> None:
    reconcile_messages()


@job(description="Put a contact or an account on the exclusion list, or take it off.")
def exclusions_job() -> None:
    change_exclusions()


@job(description="Never write to the addresses of a CSV file, a suppression list of another tool.")
def import_suppressions_job() -> None:
    import_suppressions()


@job(description="Take an answer out of all numbers: a test, an employee, fraud.")
def void_answer_job() -> None:
    void_answer()


@job(description="Let a wave that waits for approval be sent.")
def approve_wave_job() -> None:
    approve_wave()


@job(description="Send one invitation of a survey to yourself.")
def survey_test_send_job() -> None:
    send_test_mail()


@job(description="Why a contact was asked or not, with the rule and the facts of each decision.")
def explain_contact_job() -> None:
    explain_decisions()


@job(description="Mail the operator; started by the sensors that watch for silence.")
def notify_operator_job() -> None:
    notify_operator()


@job(description="Upkeep of the lake: few files instead of many, no snapshots that nobody needs.")
def tidy_lake_job() -> None:
    tidy_lake()


@job(description="Personal links of a survey, as a table and QR codes, for the company to hand out by itself.")
def survey_links_job() -> None:
    hand_out_links()


JOBS = [
    survey_links_job,
    exclusions_job,
    import_suppressions_job,
    void_answer_job,
    approve_wave_job,
    sending_job,
    reconcile_job,
    ingest_bounces_job,
    survey_test_send_job,
    explain_contact_job,
    notify_operator_job,
    tidy_lake_job,
]
