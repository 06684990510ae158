"""What to expect of so many invitations: answers, and how wide the interval of their NPS would be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from closedloop.errors import BadInput

if TYPE_CHECKING:
    from closedloop.programme import Survey

SEGMENTS = ("tier", "industry", "segment", "region", "plan")
"""Fields of the account by which answers may be expected."""
Z = 1.959964
"""Of the normal distribution, for 95 %."""
UNKNOWN_VARIANCE = 2 / 3
"""Variance of one answer (-1, 0, 1) where nothing is known: promoters, passives and detractors equally likely."""
ENOUGH_SENT, ENOUGH_ANSWERS = 100, 30


def expectation(segment: str, asks: int, past: Sequence[dict[str, Any]], value: str, survey: Survey) -> dict[str, Any]:
    """Of `asks` invitations to a segment: the answers to expect and the half width of their 95 % interval in points.

    Rate and spread are those of the survey's own past in the segment, else of the whole survey, of its type, of all,
    where 100 surveys were sent (30 answers were given); else what the programme expects, or 20 %, and a variance of 2/3.
    Half width z sqrt(v / (n + 3)): adjusted Wald (Rocks, The American Statistician 2016).
    """
    tries = [
        ("this survey in this segment", [r for r in past if r["is_own"] and r["segment_value"] == value]),
        ("this survey", [r for r in past if r["is_own"]]),
        (f"{survey.type} surveys", [r for r in past if r["is_type"]]),
        ("all surveys", past),
    ]
    if segment == "all":
        tries = tries[1:]
    rate, basis = (
        survey.targets.response_rate or 0.2,
        "the programme's target" if survey.targets.response_rate else "20 %",
    )
    for name, rows in tries:
        if (sent := sum(row["sent"] for row in rows)) >= ENOUGH_SENT:
            rate, basis = sum(row["answered"] for row in rows) / sent, f"{name}: {sent:,} sent"
            break
    variance = UNKNOWN_VARIANCE
    for _, rows in tries:
        answered = sum(row["answered"] for row in rows)
        if answered >= ENOUGH_ANSWERS:
            promoters = (sum(row["promoters"] for row in rows) + 0.75) / (answered + 3)
            detractors = (sum(row["detractors"] for row in rows) + 0.75) / (answered + 3)
            variance = promoters + detractors - (promoters - detractors) ** 2
            break
    answers = asks * rate
    return {
        "segment": segment,
        "segment_value": value,
        "asks": asks,
        "response_rate": round(rate, 4),
        "rate_from": basis,
        "answers": round(answers, 1),
        "half_width": round(min(100.0, 100 * Z * math.sqrt(variance / (answers + 3))), 1),
    }


def known_segment(by: str) -> str:
    """`by`, when it is one of SEGMENTS: it becomes the name of a column. Raises BadInput."""
    if by not in SEGMENTS:
        raise BadInput(
            f"answers cannot be expected by '{by}'", field="by", remedy=f"choose one of: {', '.join(SEGMENTS)}"
        )
    return by


PAST = """
select
    coalesce(cast(accounts.{by} as varchar), '(none)') as segment_value,
    invitations.survey_id = ? as is_own, coalesce(surveys.survey_type = ?, false) as is_type,
    count(*) as sent, count(answers.invitation_id) as answered,
    count(*) filter (where answers.score >= 9) as promoters, count(*) filter (where answers.score <= 6) as detractors
from intermediate.int_replay_past as invitations
left join intermediate.int_replay_past as answers
    on answers.what = 'answered' and answers.invitation_id = invitations.invitation_id
left join intermediate.int_survey_definitions as surveys on surveys.survey_id = invitations.survey_id
left join staging.stg_crm__account as accounts on accounts.account_id = invitations.account_id
where invitations.what = 'asked' and invitations.delivery_state = 'sent'
group by all
"""
