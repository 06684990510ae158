"""What a changed rule would have done: days of the past (or to come) played through under it, beside today's rules."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from closedloop.errors import BadInput
from closedloop.programme import Survey
from closedloop.settings import Settings
from orchestration.build import Replay
from orchestration.expectation import PAST, expectation
from orchestration.replay import Progress, playground

MOST_DAYS = 3 * 366


def overridden(survey: Survey, changes: Mapping[str, Any]) -> Survey:
    """The survey with fields changed, each by its path such as `cooldown.days`. Raises BadInput for what cannot be."""
    definition = survey.model_dump(mode="json", exclude={"audience": {"clauses"}, "triggers": {"__all__": {"key"}}})
    for path, value in changes.items():
        part: Any = definition
        *above, last = path.split(".")
        for name in above:
            part = part[name]
        if part is definition["triggers"]:
            for trigger in part:
                trigger[last] = value
        else:
            part[last] = value
    try:
        return Survey.model_validate(definition)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(
            first["msg"].removeprefix("Value error, "),
            field=" ".join(_option(path) for path in changes),
            remedy="choose another value; docs/surveys.md says what each field takes",
        ) from None


OVERRIDES = {
    "cooldown_days": "cooldown.days",
    "cooldown_scope": "cooldown.scope",
    "skip_after_response_days": "skip_after_response_days",
    "max_age_days": "max_age_days",
    "delay_days": "triggers.delay_days",
    "where": "audience.where",
    "spread_days": "wave.spread_days",
}
"""What a what-if may change, by the name of its option."""


def _option(path: str) -> str:
    return next(f"--{name.replace('_', '-')}" for name, known in OVERRIDES.items() if known == path)


def what_if(
    settings: Settings,
    surveys: Sequence[Survey],
    survey_id: str,
    changes: Mapping[str, Any],
    *,
    first: dt.date,
    last: dt.date,
    alone: bool,
    now: dt.datetime,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Play `first` to `last` (UTC days, both included) through for one survey, under changed rules and under today's.

    One evaluation a day; the survey is active from `first` on, so what came due before is no candidate. The cooldown
    begins with what was really sent; the survey's own invitations from `first` on are replaced by those of the replay. Real
    answers stand, and so do the invitations of other surveys, unless `alone`. Records, filters and opt-outs are as the CRM
    has them now; exclusions, suppressions and people's wishes as of each day.
    """
    say = progress or (lambda _: None)
    survey = next((one for one in surveys if one.id == survey_id), None)
    if survey is None:
        raise BadInput(
            f"there is no survey '{survey_id}'",
            field="--survey",
            remedy=f"choose one of: {', '.join(one.id for one in surveys)}",
        )
    if last < first:
        raise BadInput("the last day lies before the first", field="--to", remedy="give --from, then a later --to")
    if (last - first).days >= MOST_DAYS:
        raise BadInput("the period is longer than three years", field="--to", remedy="choose a shorter one")
    if "wave.spread_days" in changes and survey.wave is None:
        survey = survey.model_copy(update={"wave": {}})
    survey = survey.model_copy(update={"status": "active"})
    changed = overridden(survey, changes)
    others = [one for one in surveys if one.id != survey_id]
    period = Replay(first, last, survey_id=survey_id, is_alone=alone)
    results = {}
    with playground(settings, as_of=now, now=now, progress=progress) as ground:
        for name, one in (("today", survey), ("what_if", changed)):
            say("playing under today's rules" if name == "today" else "playing under the changed rules")
            ground.play([*others, one], period, since=now)
            rows = ground.rows(_DECISIONS)
            past = ground.rows(PAST.format(by="tier"), [survey_id, survey.type])
            results[name] = _report(rows, ground.rows(_MONTHS), ground.rows(_PEOPLE)[0], past, one)
    return {
        "survey": survey_id,
        "from": first.isoformat(),
        "to": last.isoformat(),
        "alone": alone,
        "rules": dict(changes),
        **results["what_if"],
        "today": results["today"],
    }


def _report(
    rows: list[dict[str, Any]],
    months: list[dict[str, Any]],
    people: dict[str, Any],
    past: list[dict[str, Any]],
    survey: Survey,
) -> dict[str, Any]:
    asked = sum(row["contacts"] for row in rows if row["decision"] == "ask")
    expected = expectation("all", asked, past, "all", survey)
    return {
        "asked": asked,
        "skipped": {row["rule"]: row["contacts"] for row in rows if row["decision"] == "skip"},
        "waiting": {row["rule"]: row["contacts"] for row in rows if row["decision"] == "defer"},
        "people_asked": people["people"] or 0,
        "most_asks_of_one": people["most"] or 0,
        "people_asked_by_month": {row["month"]: row["people"] for row in months},
        "expected_answers": expected["answers"],
        "expected_half_width": expected["half_width"] if asked else None,
        "rate_from": expected["rate_from"],
    }


_DECISIONS = """
select decision, deciding_rule as rule, count(*) as contacts
from intermediate.int_replay_decisions group by all order by contacts desc, rule
"""
_MONTHS = """
select strftime(decided_on, '%Y-%m') as month, count(distinct coalesce(person_key, contact_id)) as people
from intermediate.int_replay_decisions where decision = 'ask' group by all order by month
"""
_PEOPLE = """
select count(*) as people, max(asks) as most from (
    select coalesce(person_key, contact_id) as person, count(*) as asks
    from intermediate.int_replay_decisions where decision = 'ask' group by all
)
"""
