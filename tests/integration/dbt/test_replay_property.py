"""The replay, which decides all its days at once, against a plain model that goes through them day by day."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from closedloop.programme import Rule, Survey
from tests.support import rules_model as model
from tests.support.rules_histories import START, after_asks, histories, in_order, programme_changes, random_surveys
from tests.support.rules_workshop import RulesWorkshop, survey

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("RULES_SEED", "20260202"))
ISLANDS = int(os.environ.get("RULES_ISLANDS", "200"))
NOW = START + dt.timedelta(days=60, hours=15)
TODAY = NOW.date()
WEEK = dt.timedelta(weeks=1)
ABOUT_WAITING = set(model.WAITS)


@dataclass
class Past:
    """A world with a real past, and what the replays of it gave."""

    workshop: RulesWorkshop
    world: model.World
    compared: int = 0
    decided: Counter[str] = field(default_factory=Counter)
    rules: Counter[str] = field(default_factory=Counter)
    scopes: Counter[str] = field(default_factory=Counter)
    wishes: Counter[str] = field(default_factory=Counter)

    def replay(
        self, starts_on: dt.date, ends_on: dt.date, survey_id: str | None = None, is_alone: bool = False
    ) -> dict:
        """Play the days through in both; fail where they differ; return what the models say, by candidate."""
        self.workshop.build(
            NOW,
            NOW,
            "stg_replay__period+,+int_replay_decisions",
            replay=(survey_id, starts_on, ends_on, is_alone),
        )
        columns = "candidate_id, contact_id, survey_id, due_on, decided_on, decision, deciding_rule, all_failed_rules, blocked_by"
        rows = self.workshop.query(f"select {columns} from intermediate.int_replay_decisions")
        found = {row[0]: dict(zip(columns.split(", "), row, strict=True)) for row in rows}
        assert len(found) == len(rows), "a candidate is decided twice"
        expected = model.replay(self.world, starts_on, ends_on, survey_id=survey_id, is_alone=is_alone)
        wrong = []
        for key in found.keys() | expected.keys():
            have, want = found.get(key), expected.get(key)
            if (have and said(have)) != (want and told(want)):
                about = want and (want.candidate.survey.id, want.candidate.record_id, want.candidate.contact_id)
                wrong.append(f"{key} {about}\n  models: {have and said(have)}\n  rules:  {want and told(want)}")
        self.compared += len(found)
        for one in expected.values():
            self.decided[one.decision] += 1
            self.rules.update(one.fails)
            self.wishes.update(one.too_soon)
            if "cooldown" in one.fails:
                self.scopes[one.candidate.survey.cooldown.scope] += 1
        assert not wrong, f"{len(wrong)} of {len(found)} differ, such as\n" + "\n".join(wrong[:8])
        return found


def said(row: dict[str, Any]) -> dict[str, Any]:
    """A candidate's end as the models tell it.

    Several rules may fail on different days of waiting. The day-by-day loop skips on the first of these days; the
    models look at all days at once and name what failed on any of them, with the first in the order of the rules as
    the one that decides. So the decision and the set of rules are compared, not the deciding rule, and the day only
    of those who are asked.
    """
    rules = set(json.loads(row["all_failed_rules"]))
    is_skip = row["decision"] == "skip"
    return {
        "decision": row["decision"],
        "due_on": row["due_on"],
        "decided_on": row["decided_on"] if row["decision"] == "ask" else None,
        "rules": rules - ABOUT_WAITING if is_skip else rules,
    }


def told(one: model.Replayed) -> dict[str, Any]:
    """The same of the plain model."""
    return {
        "decision": one.decision,
        "due_on": one.due_on,
        "decided_on": one.decided_on if one.decision == "ask" else None,
        "rules": one.fails if one.decision == "skip" else {one.waits} if one.waits else set(),
    }


def further_surveys() -> dict[str, Survey]:
    """Some about tickets, with the cooldowns that matter most: four weeks, none, a day and a week with waiting."""
    return {
        "often": survey(
            "often",
            triggers=[{"event": "ticket_resolved"}],
            cooldown={"days": 28, "scope": "survey"},
            skip_after_response_days=0,
        ),
        "always": survey(
            "always",
            triggers=[{"event": "support_contact"}],
            cooldown={"days": 0, "scope": "global"},
            skip_after_response_days=0,
            priority=5,
        ),
        "daily": survey(
            "daily",
            triggers=[{"event": "ticket_resolved"}, {"event": "support_contact"}],
            cooldown={"days": 1, "scope": "survey"},
            skip_after_response_days=0,
            wave={"spread_days": 3},
        ),
        "patient": survey(
            "patient",
            triggers=[{"event": "support_contact"}],
            cooldown={"days": 7, "scope": "family"},
            family="care",
            skip_after_response_days=3,
            wave={"spread_days": 6},
            business_hours={"days": ["mon", "thu"]},
        ),
    }


def rhythm() -> list[Any]:
    """Somebody whose tickets are resolved in weeks 0, 2 and 4, and some who have a ticket a day; a year before."""
    facts: list[Any] = []
    born = START - 800 * WEEK / 7
    facts.append(model.Version(model.Account, "r", born, born, model.Account("r", born, "Customer")))
    one = model.Contact("rc", born, "r", "rc@r.example", is_primary=True)
    facts.append(model.Version(model.Contact, "rc", born, born, one))
    for week in (0, 2, 4):
        at = dt.datetime.combine(FIRST_WEEK, dt.time(9)) + week * WEEK
        ticket = model.Ticket(f"r{week}", at, "r", "rc", closed_at=at)
        facts.append(model.Version(model.Ticket, ticket.id, at, at, ticket))
    for number in range(20):
        key = f"busy{number}"
        facts.append(model.Version(model.Contact, key, born, born, replace(one, id=key, email=f"{key}@r.example")))
        for days in range(5):
            at = dt.datetime.combine(FIRST_WEEK, dt.time(9)) + 10 * WEEK + dt.timedelta(days=days)
            ticket = model.Ticket(f"{key}{days}", at, "r", key, closed_at=at + dt.timedelta(hours=30))
            facts.append(model.Version(model.Ticket, ticket.id, at, at, ticket))
        facts += wishes_of_that_week(number, f"{key}@r.example")
    return facts


def wishes_of_that_week(number: int, person: str) -> list[Any]:
    """How often somebody wants a mail, and how that changes while some surveys wait for their day; others want none for a
    while."""
    monday = dt.datetime.combine(FIRST_WEEK, dt.time()) + 10 * WEEK
    hour, day = dt.timedelta(hours=1), dt.timedelta(days=1)
    wishes: list[tuple[dt.timedelta, int | None]] = [
        *((-9 * day, 3), (2 * day + 9 * hour, 10), (-day, 5), (2 * day, None), (-day, 60), (day + 16 * hour, None)),
        *((3 * day + 2 * hour, 4), (4 * day, None), (-2 * day, 2), (-30 * day, 20), (5 * day, 6)),
    ]
    facts: list[Any] = []
    for after, days in {
        1: wishes[:2],
        2: wishes[2:4],
        3: wishes[4:6],
        4: wishes[6:8],
        5: wishes[8:9],
        6: wishes[9:],
    }.get(number % 8, []):
        at = monday + after
        facts.append(model.Wish(0, person, "all", at, at, True, days))
    if number % 8 == 7:
        ended = {"subject": "address", "subject_id": person, "reason": "unsubscribed"}
        for kind, at in (("suppressed_address", monday + 2 * day + hour), ("resubscribed", monday + 4 * day + hour)):
            facts.append(model.Listed(0, kind, at=at, known_at=at, **ended))
        facts.append(model.Wish(0, person, "daily", monday, monday, is_wanted=False))
        facts.append(model.Wish(0, person, "daily", monday + 6 * day, monday + 6 * day, is_wanted=True))
    return facts


FIRST_WEEK = (START - 52 * WEEK).date()


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """The rules' own evaluations, some days apart, make the real past: they are proven elsewhere."""
    rng = random.Random(SEED)
    surveys = random_surveys(rng)
    pending = [*programme_changes(rng, surveys), *histories(rng, ISLANDS), *rhythm()]
    long_ago = START - dt.timedelta(days=90)
    pending += [model.Programme(one, long_ago, "active") for one in further_surveys().values()]
    workshop = RulesWorkshop(tmp_path_factory.mktemp("replay"))
    arrived: list[Any] = []
    for days in range(0, 61, 4):
        as_of = START + dt.timedelta(days=days, hours=15)
        new = in_order((fact for fact in pending if fact.known_at <= as_of), len(arrived))
        pending = [fact for fact in pending if fact.known_at > as_of]
        arrived += new
        workshop.append(new)
        if as_of >= NOW:
            break
        world = model.World.of(arrived, as_of, as_of)
        decisions = [
            model.sealed(world, one, proposal.decision, as_of)
            for one, proposal in model.evaluate(world).values()
            if proposal.decision != "defer"
        ]
        workshop.seal_decisions(decisions)
        arrived += decisions
        pending += after_asks(rng, [one for one in decisions if one.decision == "ask"])
    workshop.build(NOW, NOW, "+int_replay_decisions")
    return Past(workshop, model.World.of(arrived, NOW, NOW))


# Every survey once, alone or among the others; some over years, some beyond today.
WHAT_IFS = [
    ("deals", -40, 0, False),
    ("tickets", -60, 0, False),
    ("tickets", -60, 0, True),
    ("orders", -1100, 0, False),
    ("projects", -60, -5, False),
    ("renewals", -50, 10, False),
    ("prospects", -90, 0, False),
    ("losses", -70, 0, True),
    ("milestones", -70, 0, False),
    ("monthly", -120, 0, False),
    ("pulse", -300, -2, False),
    ("yearly", -400, 0, False),
    ("dates", -400, 0, False),
    ("sampled", -400, 0, False),
    ("often", -700, 0, False),
    ("always", -100, 0, False),
    ("daily", -430, -200, False),
    ("patient", -430, -200, False),
    ("daily", -60, 0, False),
    ("daily", -40, -10, True),
    ("patient", -60, 0, False),
    ("patient", -20, -3, True),
    ("patient", -36, -2, False),
]


@pytest.mark.parametrize(("survey_id", "first", "last", "is_alone"), WHAT_IFS)
def test_what_if_of_one_survey(past: Past, survey_id: str, first: int, last: int, is_alone: bool) -> None:
    day = dt.timedelta(days=1)
    past.replay(TODAY + first * day, TODAY + last * day, survey_id, is_alone)


@pytest.mark.parametrize("days", [0, 1, 30, 120])
def test_a_plan_of_all_surveys(past: Past, days: int) -> None:
    past.replay(TODAY, TODAY + dt.timedelta(days=days))


def test_weeks_0_2_and_4_with_a_four_week_cooldown(past: Past) -> None:
    found = past.replay(FIRST_WEEK, FIRST_WEEK + 6 * WEEK, "often")
    rows = sorted(
        (row["due_on"], row["decision"], row["deciding_rule"]) for row in found.values() if row["contact_id"] == "rc"
    )
    assert rows == [
        (FIRST_WEEK, "ask", "passed"),
        (FIRST_WEEK + 2 * WEEK, "skip", "cooldown"),
        (FIRST_WEEK + 4 * WEEK, "ask", "passed"),
    ]


def test_the_replays_covered_the_rules(past: Past) -> None:
    print(f"\n{len(past.world.people)} people, {past.compared} decisions, {dict(past.decided)}, {dict(past.rules)}")
    print(dict(past.scopes), dict(past.wishes))
    # A cap of the account is not replayed.
    assert {rule for rule in Rule if not past.rules[rule]} == {Rule.ACCOUNT_CAP, Rule.PASSED}
    assert min(past.decided[decision] for decision in ("ask", "skip", "defer")) >= 20
    assert set(past.scopes) == {"global", "family", "survey"}
    assert min(past.wishes[asks] for asks in ("real", "replayed")) >= 20
