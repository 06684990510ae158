"""The plan of a programme: whom it would ask now and in the next days, whom not and why, and what to expect of it.

It is played through by the models that decide (`orchestration.replay`), so plan and decision cannot disagree. What is not
in the CRM yet, such as next week's deals, is in no plan.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from closedloop.programme import Survey
from closedloop.programme.content import questions_for
from closedloop.settings import Settings
from orchestration.build import Replay, newest_definitions
from orchestration.expectation import PAST, expectation, known_segment
from orchestration.replay import DECIDED, PROPOSED, Playground, Progress, playground

DAYS = 30
EXAMPLES = 3
LOST_PER_QUESTION = 0.1
SPIRIT_DAYS = 90
"""What the platform takes for sparing: not more than one invitation in so many days."""


@dataclass
class SurveyPlan:
    """What is planned for one survey. Counts are of contacts' occasions; `next_days` holds those of today too."""

    survey_id: str
    name: str
    status: str
    change: str
    """'new', 'changed', 'unchanged' or 'removed' against the version that is in force."""
    changes: list[dict[str, Any]] = field(default_factory=list)
    now: dict[str, Any] = field(default_factory=dict)
    next_days: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] | None = None
    """`next_days` under the version in force, where it is another one."""
    asks_by_day: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    collisions: list[dict[str, Any]] = field(default_factory=list)
    expected: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def plan(
    settings: Settings,
    surveys: Sequence[Survey],
    *,
    as_of: dt.datetime,
    now: dt.datetime,
    as_if_active: str | None = None,
    only: str | None = None,
    by: str = "tier",
    days: int = DAYS,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The plan of these programmes as of a time (UTC), for today and `days` days more.

    `as_if_active` names a survey that is played as if it were active; `only` shows that one alone (all are played: they
    compete for the same people). `by` is the account field by which answers are expected.
    """
    say = progress or (lambda _: None)
    by = known_segment(by)
    played = [
        survey.model_copy(update={"status": "active"}) if survey.id == as_if_active else survey for survey in surveys
    ]
    today = as_of.astimezone(dt.UTC).date()
    period = Replay(today, today + dt.timedelta(days=days))
    with playground(settings, as_of=as_of, now=now, progress=progress) as ground:
        known = newest_definitions(ground.lake)
        in_force = {
            survey_id: row for survey_id, row in known.items() if row["status"] != "removed" and row["definition"]
        }
        say("playing the programmes through")
        ground.play(played, period, models=(DECIDED, PROPOSED), since=as_of)
        plans = {
            survey.id: _of_survey(ground, survey, in_force.get(survey.id), by=by, settings=settings)
            for survey in surveys
            if only in (None, survey.id)
        }
        proposals = ground.rows(_PROPOSALS)
        for unknown in ground.unknown_fields(surveys):
            if unknown.survey_id in plans:
                plans[unknown.survey_id].warnings.append(
                    f"{unknown.place}: no export ever brought {unknown.object}.{unknown.field}"
                    + (f"; near it: {', '.join(unknown.near)}" if unknown.near else "")
                )
        overasked = {row["survey_id"]: row["contacts"] for row in ground.rows(_OVERASKED, [SPIRIT_DAYS])}
        for survey_id, one in plans.items():
            if overasked.get(survey_id):
                one.warnings.append(
                    f"{overasked[survey_id]:,} of the people asked had another survey less than {SPIRIT_DAYS} days before"
                )
        if known and any(one.change != "unchanged" for one in plans.values()):
            say("the same under the programmes in force")
            ground.play([_stored(row) for row in in_force.values()], period, since=as_of)
            for survey_id, one in plans.items():
                if one.change == "changed":
                    one.before = _counts(ground, survey_id)
    return {
        "as_of": as_of.isoformat(),
        "until": period.ends_on.isoformat(),
        "surveys": [vars(one) for one in plans.values()],
        "proposals": proposals,
    }


def _stored(row: dict[str, str]) -> Survey:
    definition = json.loads(row["definition"])
    return Survey.model_validate(definition, extra="ignore").model_copy(update={"status": row["status"]})


def _of_survey(
    ground: Playground, survey: Survey, in_force: dict[str, str] | None, *, by: str, settings: Settings
) -> SurveyPlan:
    change = "new"
    changes: list[dict[str, Any]] = []
    if in_force is not None:
        before = {**json.loads(in_force["definition"]), "status": in_force["status"]}
        changes = list(differences(before, survey.model_dump(mode="json")))
        change = "changed" if changes else "unchanged"
    one = SurveyPlan(survey.id, survey.name, survey.status, change, changes)
    one.now = _now(ground, survey.id)
    one.next_days = _counts(ground, survey.id)
    one.asks_by_day = {row["decided_on"].isoformat(): row["contacts"] for row in ground.rows(_BY_DAY, [survey.id])}
    for row in ground.rows(_EXAMPLES, [survey.id, EXAMPLES]):
        one.examples.setdefault(row["rule"], []).append(row["contact_id"])
    one.collisions = ground.rows(_COLLISIONS, [survey.id])
    one.expected = _expected(ground, survey, by)
    one.warnings = list(_warnings(survey, one, settings))
    return one


def differences(before: Any, after: Any, path: str = "") -> Iterable[dict[str, Any]]:
    """Each field that differs between two definitions, by its path, with its value before and after."""
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            yield from differences(before.get(name), after.get(name), f"{path}.{name}" if path else name)
    elif before != after and not path.endswith((".clauses", ".key")):
        yield {"field": path, "before": before, "after": after}


def _now(ground: Playground, survey_id: str) -> dict[str, Any]:
    return _by_decision(ground.rows(_NOW, [survey_id]))


def _counts(ground: Playground, survey_id: str) -> dict[str, Any]:
    return _by_decision(ground.rows(_PLAYED, [survey_id]))


def _by_decision(rows: Iterable[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"ask": 0, "defer": {}, "skip": {}}
    for row in rows:
        if row["decision"] == "ask":
            found["ask"] += row["contacts"]
        else:
            found[row["decision"]][row["rule"]] = row["contacts"]
    return found


def _expected(ground: Playground, survey: Survey, by: str) -> list[dict[str, Any]]:
    """Answers to expect of those who would be asked, and how wide their interval would be, in all and by segment."""
    asks: Counter[str] = Counter(
        {row["segment_value"]: row["contacts"] for row in ground.rows(_ASKS.format(by=by), [survey.id])}
    )
    past = ground.rows(PAST.format(by=by), [survey.id, survey.type])
    rows = [expectation("all", sum(asks.values()), past, "all", survey)]
    return rows + [expectation(by, count, past, value, survey) for value, count in sorted(asks.items())]


def _warnings(survey: Survey, one: SurveyPlan, settings: Settings) -> Iterable[str]:
    asked = max(2 + sum(1 for _ in questions_for(survey.questions, score)) for score in range(11))
    if asked > 2:
        lost = 1 - (1 - LOST_PER_QUESTION) ** (asked - 2)
        yield f"{asked} questions: each beyond two costs about 10 % of the completed surveys, here {lost:.0%}"
    if survey.status != "active":
        yield f"the survey is {survey.status}: nothing is sent before a change of its file makes it active"
    if survey.cooldown.days < SPIRIT_DAYS:
        yield (
            f"a cooldown of {survey.cooldown.days} days is shorter than the default of {SPIRIT_DAYS}"
            + ("" if survey.cooldown.scope == "global" else f" and counts only over its {survey.cooldown.scope}")
        )
    elif survey.cooldown.scope != "global":
        yield f"the cooldown counts only over its {survey.cooldown.scope}: other surveys may ask the same person meanwhile"
    skipped = sum(one.next_days["skip"].values())
    cooling = one.next_days["skip"].get("cooldown", 0)
    if cooling > 10 and cooling > (skipped + one.next_days["ask"]) / 2:
        yield f"the cooldown stops {cooling:,} of {skipped + one.next_days['ask']:,} occasions: it comes oftener than it may ask"
    wanted = survey.targets.half_width or (survey.sample.half_width if survey.sample else None)
    if wanted is not None:
        for row in one.expected:
            if row["asks"] and row["half_width"] > wanted:
                yield (
                    f"{row['segment']} {row['segment_value']}: about {row['answers']:.0f} answers give "
                    f"±{row['half_width']:.0f} points, the target is ±{wanted:g}"
                )
    largest = max(one.asks_by_day.values(), default=0)
    if largest > settings.wave_approval_size:
        yield f"{largest:,} are asked on one day: a wave over {settings.wave_approval_size:,} waits for approval"
    if survey.account_cap:
        yield "account_cap is not played through: on later days fewer may be asked than shown"


def load_planned(settings: Settings, file: Any) -> tuple[list[Survey], Survey | None]:
    """The programmes of the folder, with that of `file` in place of its namesake; and that one."""
    from closedloop.errors import BadInput
    from closedloop.programme import load_survey, load_surveys

    if file is None:
        return list(load_surveys(settings.surveys)), None
    changed = load_survey(file)
    try:
        others = [survey for survey in load_surveys(settings.surveys) if survey.id != changed.id]
    except BadInput:
        if not (settings.surveys / file.name).exists() or settings.surveys not in file.resolve().parents:
            raise
        others = []
    return [*others, changed], changed


_PROPOSALS = """
select survey_id, decision, deciding_rule, count(*) as contacts
from shop.marts.survey_queue group by all order by survey_id, decision, contacts desc, deciding_rule
"""
_NOW = """
select decision, deciding_rule as rule, count(*) as contacts
from shop.marts.survey_queue where survey_id = ? group by all order by contacts desc, rule
"""
_PLAYED = """
select decision, deciding_rule as rule, count(*) as contacts
from intermediate.int_replay_decisions where survey_id = ? group by all order by contacts desc, rule
"""
_BY_DAY = """
select decided_on, count(*) as contacts
from intermediate.int_replay_decisions where survey_id = ? and decision = 'ask' group by all order by decided_on
"""
_EXAMPLES = """
select rule, contact_id
from (
    select deciding_rule as rule, contact_id,
           row_number() over (partition by deciding_rule order by decided_on, candidate_id) as place
    from intermediate.int_replay_decisions where survey_id = ?
)
where place <= ? order by rule, place
"""
_COLLISIONS = """
select blocked_by as survey_id, deciding_rule as rule, count(*) as contacts
from intermediate.int_replay_decisions
where survey_id = ? and blocked_by is not null and blocked_by <> survey_id
group by all order by contacts desc, survey_id, rule
"""
# Asked now or in the days to come, and less than so many days before by another survey (or by this one).
_OVERASKED = """
with asks as (
    select survey_id, coalesce(person_key, contact_id) as person, decided_on as asked_on
    from intermediate.int_replay_decisions where decision = 'ask'
),
earlier as (
    select coalesce(person_key, contact_id) as person, cast(happened_at as date) as asked_on
    from intermediate.int_replay_past where what = 'asked'
    union all select person, asked_on from asks
)
select asks.survey_id, count(distinct asks.person) as contacts
from asks inner join earlier
    on earlier.person = asks.person and earlier.asked_on < asks.asked_on and asks.asked_on - earlier.asked_on < ?
group by all
"""
_ASKS = """
select coalesce(cast(accounts.{by} as varchar), '(none)') as segment_value, count(*) as contacts
from intermediate.int_replay_decisions as decisions
left join staging.stg_crm__account as accounts on accounts.account_id = decisions.account_id
where decisions.survey_id = ? and decisions.decision = 'ask' group by all
"""
