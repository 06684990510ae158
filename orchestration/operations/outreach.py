"""What goes out, what comes back, and who takes care of it."""

import dataclasses
import time
from pathlib import Path
from typing import Any, Literal

from dagster import (
    AssetExecutionContext,
    AssetMaterialization,
    AssetSpec,
    Config,
    MaterializeResult,
    ResourceParam,
    asset,
)
from pydantic import Field

from orchestration.common import catalogue as names
from orchestration.common.failures import RETRIES, failures_told_apart
from orchestration.common.platform import Platform

response_files = AssetSpec(
    names.RESPONSE_FILES,
    group_name=names.SOURCES,
    owners=[names.DATA_ENGINEERS],
    kinds={"csv"},
    description="Answers that another tool collected, as CSV files: `external_id, survey, survey_type, contact_id, "
    "contact_email, account_id, score, comment, channel, submitted_at`, and any further column as an attribute.",
)

answers = AssetSpec(
    names.ANSWERS,
    deps=[names.MESSAGES],
    group_name=names.OUTREACH,
    owners=[names.CUSTOMER_TEAM],
    kinds={"python"},
    description="What customers do with their mail: open it, click a score, answer, unsubscribe. The collector takes it "
    "in and writes it to the ledger; the next build finds it there.",
)


@asset(
    key=names.MESSAGES,
    deps=[names.SEALED],
    group_name=names.OUTREACH,
    owners=[names.CUSTOMER_TEAM],
    kinds={"python"},
    retry_policy=RETRIES,
    description="Planned messages are handed to the mail server, each at most once; reminders that are due are planned first. "
    "At the hand-over suppression, pause, expiry, answer, cooldown, account cap and business hours are looked at again. "
    "planned = pending + sent + rejected + suppressed + uncertain.",
)
def survey_messages(context: AssetExecutionContext, platform: ResourceParam[Platform]) -> MaterializeResult:
    from orchestration import work

    began = time.monotonic()
    with failures_told_apart():
        report = work.dispatch(platform.settings, clock=platform.clock)
    return MaterializeResult(metadata={**counts(report), "seconds": round(time.monotonic() - began, 2)})


@asset(
    key=names.FOLLOW_UPS,
    deps=[names.ANSWERS],
    group_name=names.OUTREACH,
    owners=[names.CUSTOMER_TEAM],
    kinds={"python"},
    retry_policy=RETRIES,
    description="Each new answer sets the workflows of its survey in motion, every action once: for an unhappy customer (0-6) an "
    "alert to the account's owner, a task, a case, and two clocks: acknowledge, then the SLA; for others tasks, thanks, the list "
    "of advocates. Warns before a clock runs out, tells the manager when it has, and moves sequences of mails on.",
)
def detractor_followups(context: AssetExecutionContext, platform: ResourceParam[Platform]) -> MaterializeResult:
    from orchestration import work

    began = time.monotonic()
    with failures_told_apart():
        report = work.follow_up(platform.settings, clock=platform.clock)
    return MaterializeResult(metadata={**counts(report), "seconds": round(time.monotonic() - began, 2)})


@asset(
    key=names.WRITTEN_BACK,
    deps=[names.FOLLOW_UPS],
    group_name=names.OUTREACH,
    owners=[names.CUSTOMER_TEAM],
    kinds={"python"},
    retry_policy=RETRIES,
    description="What workflows planned for the CRM: answers, tasks, cases, timeline entries, the newest score and health of "
    "contacts and accounts, opt-outs. Each record has a key of its own, so written twice it is still one.",
)
def crm_records(context: AssetExecutionContext, platform: ResourceParam[Platform]) -> MaterializeResult:
    from orchestration import work

    began = time.monotonic()
    with failures_told_apart():
        report = work.write_back(platform.settings, clock=platform.clock)
    for reason, count in report.reasons.items():
        context.log.warning(f"{count:,} actions: {reason}")
    if report.stopped:
        context.log.warning(f"stopped: {report.stopped}")
    return MaterializeResult(metadata={**counts(report), "seconds": round(time.monotonic() - began, 2)})


class ResponseFile(Config):
    """The file to read."""

    file: str = Field(description="Path of a file with answers that another tool collected.")
    tool: str = Field(
        default="",
        description="delighted, formbricks, qualtrics, surveymonkey, typeform or wootric. Empty: a CSV in our own columns.",
    )
    survey: str = Field(default="", description="The survey's name here. Empty: the tool's.")
    survey_type: Literal["relationship", "transactional"] = Field(
        default="relationship", description="Of a tool's file."
    )
    question: str = Field(default="", description="Id or column of the question that is the score.")
    comment: str = Field(default="", description="Id or column of the question that is the comment.")
    scale: str = Field(default="", description="Scale of the score where the tool does not tell, such as 1-7.")
    time_zone: str = Field(default="UTC", description="Of times without an offset.")
    details: str = Field(default="", description="Path of the tool's description of the survey (JSON).")


@asset(
    key=names.lake_key(names.RESPONSES),
    deps=[names.RESPONSE_FILES],
    group_name=names.LAKE,
    owners=[names.DATA_ENGINEERS],
    kinds={"iceberg"},
    retry_policy=RETRIES,
    description="Answers imported from other tools. They never enter the sender's books and never alert; the same file "
    "again changes nothing, a known `external_id` with other content is a new version.",
)
def imported_responses(
    context: AssetExecutionContext, config: ResponseFile, platform: ResourceParam[Platform]
) -> MaterializeResult:
    from ingestion.sources.tools.rows import asked_of
    from orchestration import work

    began = time.monotonic()
    with failures_told_apart():
        if config.tool:
            said = {name: getattr(config, name) or None for name in ("survey", "question", "comment", "scale")}
            details = Path(config.details) if config.details else None
            asked = asked_of(survey_type=config.survey_type, time_zone=config.time_zone, details=details, **said)
            report = work.ingest_tool(
                platform.settings, config.tool, Path(config.file), asked=asked, now=platform.now()
            )
        else:
            report = work.ingest_responses(platform.settings, Path(config.file), now=platform.now())
    for warning in report.warnings:
        context.log.warning(str(warning))
    if report.new_in_quarantine:
        context.log_event(
            AssetMaterialization(
                names.lake_key(names.QUARANTINE), metadata={"new_rows": report.new_in_quarantine, **report.reasons}
            )
        )
    found = {name: count for name, count in report.as_dict().items() if isinstance(count, int)}
    return MaterializeResult(metadata={**found, "seconds": round(time.monotonic() - began, 2)})


def counts(report: Any) -> dict[str, int]:
    """The numbers of a report; mappings of reasons become their sum, all else stays out of the event log."""
    found = {}
    for field in dataclasses.fields(report):
        value = getattr(report, field.name)
        if isinstance(value, bool):
            continue
        if isinstance(value, int):
            found[field.name] = value
        elif isinstance(value, dict) and all(isinstance(count, int) for count in value.values()):
            found[field.name] = sum(value.values())
    return found
