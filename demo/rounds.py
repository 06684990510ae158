"""The weekly rounds of the past: who was due, and whom the rules let through. Moments are epoch seconds, UTC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from closedloop.identity import candidate_id
from closedloop.programme import Rule, Survey, TriggerEvent
from closedloop.programme.rules import SCHEDULE_DAYS
from demo import people
from demo.columns import DAY, HOUR, NEVER, dates, record_ids
from demo.company import Company
from demo.mood import EVENTS

RULES = tuple(rule for rule in Rule if rule is not Rule.PASSED)
WEEK = 7 * DAY
QUIET_DAYS = 8
"""The last round lies at least this long before the end: what came due since is for the demo's own evaluation."""


def moments_of(company: Company, months: int) -> list[int]:
    """Tuesdays at 09:00 UTC, oldest first, of the last `months` months (30 days each) of the company's time."""
    last_day = company.era.end // DAY - QUIET_DAYS
    last_day -= (last_day + 2) % 7  # 1970-01-06 was a Tuesday
    begin = max(company.era.start + 2 * WEEK, company.era.end - months * 30 * DAY)
    count = (last_day * DAY + 9 * HOUR - begin) // WEEK
    return [last_day * DAY + 9 * HOUR - back * WEEK for back in range(count, -1, -1)]


@dataclass(frozen=True)
class Candidates:
    """Who came due since the round before."""

    survey: np.ndarray  # place in the programme
    event: np.ndarray  # place in EVENTS
    contact: np.ndarray
    due: np.ndarray
    records: list[str]
    ids: list[str]

    def __len__(self) -> int:
        return len(self.records)


@dataclass
class Memory:
    """What the programme knows of each person (by the number of their first contact record)."""

    last_asked: np.ndarray  # by survey and person, the last row: by any survey
    last_answered: np.ndarray
    suppressed_at: np.ndarray
    opted_out_at: np.ndarray
    excluded_at: np.ndarray  # by account
    recovered: np.ndarray

    @classmethod
    def fresh(cls, company: Company, surveys: Sequence[Survey], excluded_at: np.ndarray) -> Memory:
        count = company.size
        opted_out = np.full(count, NEVER)
        np.minimum.at(opted_out, company.contacts.person, company.contacts.opted_out_at)
        return cls(
            last_asked=np.full((len(surveys) + 1, count), -NEVER),
            last_answered=np.full(count, -NEVER),
            suppressed_at=np.full(count, NEVER),
            opted_out_at=opted_out,
            excluded_at=excluded_at,
            recovered=np.zeros(count, bool),
        )


def due_between(company: Company, surveys: Sequence[Survey], since: int, until: int, reached: np.ndarray) -> Candidates:
    """The candidates of all active surveys due in (since, until], of the accounts that are `reached`."""
    found = []
    for place, survey in enumerate(surveys):
        for trigger in survey.triggers if _has_a_past(survey) else ():
            if trigger.event not in EVENTS:
                continue
            event = TriggerEvent(trigger.event)
            contact, records, due = _occurrences(company, event, trigger.delay_days, since, until)
            keep = reached[company.contacts.account[contact]]
            names = [record for record, kept in zip(records, keep.tolist(), strict=True) if kept]
            found.append((place, EVENTS.index(event), contact[keep], due[keep], names))
    if not found:
        nothing = np.zeros(0, np.int64)
        return Candidates(nothing, nothing, nothing, nothing, [], [])
    contact = np.concatenate([part[2] for part in found])
    records = [record for part in found for record in part[4]]
    survey = np.repeat([part[0] for part in found], [len(part[2]) for part in found])
    event = np.repeat([part[1] for part in found], [len(part[2]) for part in found])
    contact_ids = record_ids("Contact", contact).to_pylist()
    ids = [
        candidate_id(surveys[s].id, who, EVENTS[e].value, record)
        for s, e, who, record in zip(survey.tolist(), event.tolist(), contact_ids, records, strict=True)
    ]
    return Candidates(survey, event, contact, np.concatenate([part[3] for part in found]), records, ids)


def _has_a_past(survey: Survey) -> bool:
    """Filters look at more than this company's past tells: such a survey begins with the demo's own day."""
    return survey.status == "active" and not survey.audience.where


def _occurrences(
    company: Company, event: TriggerEvent, delay_days: int, since: int, until: int
) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Contact, trigger record and moment of what comes due in (since, until], as the models of the warehouse see it."""
    contacts, accounts = company.contacts, company.accounts
    delay = delay_days * DAY
    if event is TriggerEvent.DEAL_WON:
        due = company.deals.closed // DAY * DAY + delay  # the CRM knows the date only
        some = np.flatnonzero(company.deals.won & (due > since) & (due <= until))
        contact, due = company.deals.contact[some], due[some]
        records = record_ids("Opportunity", some).to_pylist()
        gone = company.deals.deleted[some] <= until - delay
    elif event is TriggerEvent.TICKET_RESOLVED:
        due = company.cases.closed + delay
        some = np.flatnonzero((due > since) & (due <= until))
        contact, due = company.cases.contact[some], due[some]
        records = record_ids("Case", some).to_pylist()
        gone = company.cases.deleted[some] <= until - delay
    else:
        every = SCHEDULE_DAYS[event]
        turns = ((until // DAY + 1 - delay_days) - contacts.first_day) // every
        contact = np.flatnonzero(turns >= 1)
        contact = contact[accounts.type_at(contacts.account[contact], np.full(len(contact), until)) == people.CUSTOMER]
        day = contacts.first_day[contact] + turns[contact] * every
        near = (day + delay_days) * DAY > since - 2 * DAY  # zones are no more than a day apart from UTC
        contact, day = contact[near], day[near]
        due = contacts.midnights(contact, day + delay_days)
        is_due = (due > since) & (due <= until)
        contact, day, due = contact[is_due], day[is_due], due[is_due]
        who, on = record_ids("Contact", contact).to_pylist(), dates(day * DAY).to_pylist()
        records = [f"{left}@{right}" for left, right in zip(who, on, strict=True)]
        gone = np.zeros(len(contact), bool)
    here = ~gone & (contacts.deleted[contact] > until)
    return contact[here], [record for record, kept in zip(records, here.tolist(), strict=True) if kept], due[here]


@dataclass(frozen=True)
class Judged:
    """What the rules said of each candidate, and what they looked at."""

    failed: np.ndarray  # by candidate and rule of RULES: it speaks against asking
    asked: np.ndarray  # when the person was last asked, as far as it counts for the survey; -NEVER: never
    answered: np.ndarray


def judge(company: Company, surveys: Sequence[Survey], due: Candidates, memory: Memory, as_of: int) -> Judged:
    """Each candidate under the rules of its survey; where none speaks against it: ask."""
    contacts = company.contacts
    contact, account = due.contact, contacts.account[due.contact]
    person = contacts.person[contact]
    today = as_of // DAY

    def of_survey(values: Sequence[int]) -> np.ndarray:
        return np.array(values, np.int64)[due.survey]

    own_scope = of_survey([survey.cooldown.scope == "survey" for survey in surveys]).astype(bool)
    asked = memory.last_asked[np.where(own_scope, due.survey, len(surveys)), person]
    answered = memory.last_answered[person]
    failed = {
        Rule.CONTACT_GONE: contacts.deleted[contact] <= as_of,
        Rule.NO_ADDRESS: ~contacts.has_email[contact],
        Rule.EXCLUDED: memory.excluded_at[account] <= as_of,
        Rule.OPTED_OUT: memory.opted_out_at[person] <= as_of,
        Rule.SUPPRESSED: memory.suppressed_at[person] <= as_of,
        Rule.EXPIRED: as_of > due.due + of_survey([survey.max_age_days for survey in surveys]) * DAY,
        Rule.COOLDOWN: today - asked // DAY < of_survey([survey.cooldown.days for survey in surveys]),
        # An answer that came after this round is not known in it.
        Rule.RECENT_RESPONSE: (answered <= as_of)
        & (today - answered // DAY < of_survey([survey.skip_after_response_days for survey in surveys])),
    }
    matrix = np.column_stack([failed.get(rule, np.zeros(len(contact), bool)) for rule in RULES])

    # One person gets one mail: the survey of the lowest priority number, then what was due first.
    passing = np.flatnonzero(~matrix.any(axis=1))
    priority = of_survey([survey.priority for survey in surveys])[passing]
    names = np.array(due.ids, "U32")[passing]
    order = passing[np.lexsort((names, due.due[passing], priority, person[passing]))]
    later = np.zeros(len(order), bool)
    later[1:] = person[order][1:] == person[order][:-1]
    matrix[order[later], RULES.index(Rule.ONE_PER_WAVE)] = True
    return Judged(matrix, asked, np.where(answered <= as_of, answered, -NEVER))
