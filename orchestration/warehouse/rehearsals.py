"""What a person asks of the models without deciding anything: a plan, a what-if. From the launchpad as from the command line."""

from pathlib import Path
from typing import Any

from dagster import Config, MetadataValue, OpExecutionContext, ResourceParam, job, op
from pydantic import Field

from orchestration.common.failures import RETRIES, failures_told_apart
from orchestration.common.platform import Platform


class Plan(Config):
    """Whom the programmes would ask."""

    file: str = Field(
        default="", description="A programme (YAML) to plan as if active. Empty: all in the surveys folder."
    )
    as_of: str = Field(default="", description="From this time on (UTC date or time). Empty: now.")
    days: int = Field(default=30, ge=0, le=366, description="So many days more than today.")
    by: str = Field(default="tier", description="Account field of the expectations: tier, industry, region, plan.")


@op(retry_policy=RETRIES)
def plan_programmes(context: OpExecutionContext, config: Plan, platform: ResourceParam[Platform]) -> None:
    """Play the programmes through from today on: who would be asked, who not and why. Nothing is decided."""
    from orchestration import planning_words, work

    with failures_told_apart():
        found = work.plan(
            platform.settings,
            Path(config.file) if config.file else None,
            as_of=platform.time(config.as_of, field="as_of"),
            now=platform.now(),
            days=config.days,
            by=config.by,
            progress=context.log.info,
        )
    asked = {one["survey_id"]: one["next_days"]["ask"] for one in found["surveys"]}
    _tell(context, planning_words.plan_as_markdown(found), {f"asks/{name}": count for name, count in asked.items()})


class WhatIf(Config):
    """A changed rule, and the days to play through."""

    survey: str = Field(description="Id of the survey.")
    first: str = Field(description="First UTC day.")
    last: str = Field(description="Last UTC day, included.")
    changes: dict[str, Any] = Field(
        default={"cooldown_days": 90},
        description="cooldown_days, cooldown_scope, skip_after_response_days, max_age_days, delay_days, where, spread_days",
    )
    alone: bool = Field(default=False, description="As if no other survey were running.")


@op(retry_policy=RETRIES)
def replay_what_if(context: OpExecutionContext, config: WhatIf, platform: ResourceParam[Platform]) -> None:
    """Play days through under a changed rule, and under today's."""
    from closedloop.errors import BadInput
    from orchestration import planning_words, work
    from orchestration.what_if import OVERRIDES

    with failures_told_apart():
        if unknown := sorted(config.changes.keys() - OVERRIDES.keys()):
            raise BadInput(
                f"'{unknown[0]}' cannot be changed", field="changes", remedy=f"choose from: {', '.join(OVERRIDES)}"
            )
        found = work.what_if(
            platform.settings,
            config.survey,
            config.changes,
            first=platform.time(config.first, field="first").date(),
            last=platform.time(config.last, field="last").date(),
            alone=config.alone,
            now=platform.now(),
            progress=context.log.info,
        )
    text = "```\n" + planning_words.what_if_as_text(found) + "\n```"
    _tell(context, text, {"asked": found["asked"], "asked_today": found["today"]["asked"]})


def _tell(context: OpExecutionContext, markdown: str, counts: dict[str, int]) -> None:
    context.add_output_metadata({"result": MetadataValue.md(markdown), **counts})
    context.log.info(", ".join(f"{name}: {count:,}" for name, count in counts.items()))


@job(
    description="Whom the programmes would ask now and in the next days, whom not and why. Nothing is decided or sent."
)
def survey_plan_job() -> None:
    plan_programmes()


@job(description="What a changed rule would have done over a period, beside today's rules. Nothing is decided or sent.")
def what_if_job() -> None:
    replay_what_if()


JOBS = [survey_plan_job, what_if_job]
