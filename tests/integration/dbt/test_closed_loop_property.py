"""The numbers of closing the loop against the same definitions in Python, over histories that nobody thought of."""

from __future__ import annotations

import datetime as dt
import random
from collections import defaultdict
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.slow

DAY = dt.timedelta(days=1)
TYPES = {"support": "transactional", "post-close": "transactional", "relationship": "relationship"}
OUTCOMES = ("resolved", "partially_resolved", "unresolvable", "no_response")
STEPS = ("acknowledged", "investigating", "resolving", "reported_back")


@dataclass
class Answer:
    """One answer and what was done about it."""

    id: str
    contact: str
    account: str
    type: str
    at: dt.datetime
    score: int
    imported: bool = False
    step: str | None = None
    first_contact: dt.datetime | None = None
    outcome: str | None = None
    changes: list[float] = field(default_factory=list)
    advocate: dt.datetime | None = None

    @property
    def category(self) -> str:
        return "detractor" if self.score <= 6 else "passive" if self.score <= 8 else "promoter"

    @property
    def resolution(self) -> str:
        if self.step == "closed":
            return "resolved" if self.outcome in OUTCOMES[:2] else "unresolved"
        return "unresolved" if self.step in (None, "open") else "in_progress"

    @property
    def in_time(self) -> bool:
        return self.first_contact is not None and self.first_contact <= self.at + 2 * DAY


@dataclass
class World:
    """A company's accounts with their values over time, and all that was said and done."""

    as_of: dt.datetime
    values: dict[str, list[tuple[dt.datetime, float, str]]] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)

    def account(self, answer: Answer) -> tuple[float, str]:
        """Contract value and tier of the account at the answer."""
        known = [part for part in self.values[answer.account] if part[0] <= answer.at] or self.values[answer.account][
            :1
        ]
        return known[-1][1:]

    def following(self, answer: Answer) -> Answer | None:
        """The contact's next answer of the same type."""
        later = [a for a in self.answers if (a.contact, a.type) == (answer.contact, answer.type) and a.at > answer.at]
        return min(later, key=lambda a: a.at, default=None)

    def before(self, answer: Answer) -> Answer | None:
        """The contact's answer before it, to any survey."""
        earlier = [a for a in self.answers if a.contact == answer.contact and a.at < answer.at]
        return max(earlier, key=lambda a: a.at, default=None)


def start_of(grain: str, at: dt.datetime) -> dt.date | None:
    day = at.date()
    return {
        "all": None,
        "week": day - dt.timedelta(days=day.weekday()),
        "month": day.replace(day=1),
        "quarter": day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1),
        "year": day.replace(month=1, day=1),
    }[grain]


def make(company: ModuleType, seed: int) -> tuple[World, dict[str, list[dict[str, object]]]]:
    """A random world, and the rows of the lake that tell of it."""
    draw = random.Random(seed)
    world = World(company.AS_OF)
    rows = company.rows()
    ledger = company.Ledger()
    rows["crm.account"], rows["crm.contact"], rows["responses.imported"] = [], [], []
    for number in range(8):
        account = f"a{number}"
        world.values[account] = []
        for changed in sorted({0, *(draw.randrange(30, 380) for _ in range(draw.randrange(3)))}):
            at = dt.datetime(2025, 1, 1, tzinfo=dt.UTC).replace(tzinfo=None) + changed * DAY
            value, tier = float(draw.randrange(1, 90) * 1000), draw.choice(["SMB", "Enterprise"])
            world.values[account].append((at, value, tier))
            known = {"Name": account, "Tier__c": tier, "ContractValue__c": str(value), "OwnerId": "u1"}
            known["AdoptionScore__c"] = draw.choice(["", str(draw.randrange(101))]) if number else "97"
            rows["crm.account"].append(company.crm(account, f"{at:%Y-%m-%dT%H:%M:%SZ}", **known))
    minutes = draw.sample(range(400 * 24 * 60), 220)
    for number, minute in enumerate(sorted(minutes, reverse=True)):
        at = world.as_of - dt.timedelta(minutes=minute + 60)
        person = draw.randrange(24)
        contact, account = f"c{person}", f"a{person % 8}"
        survey = draw.choice(list(TYPES))
        answer = Answer(f"i{number}", contact, account, TYPES[survey], at, draw.choice([0, 3, 6, 7, 8, 9, 10]))
        world.answers.append(answer)
        if draw.random() < 0.2:
            answer.id, answer.imported, answer.type = f"import:x{number}", True, "relationship"
            known = {"contact_id": contact, "account_id": account}
            rows["responses.imported"].append(company.imported(f"x{number}", str(answer.score), at, **known))
            continue
        ledger.ask(answer.id, contact, account, at - DAY, survey)
        ledger.event("sent", at - DAY, answer.id, message_kind="invitation")
        said = {"comment": "", "judged": "human", "channel": "email", "visible_ms": 0, "version": 1, "completed": True}
        ledger.event("answered", at, answer.id, score=answer.score, **said)
        follow_up(draw, ledger, answer, world.as_of)
        act(draw, ledger, answer)
    rows["crm.contact"] = [company.contact(f"c{person}", f"a{person % 8}") for person in range(24)]
    rows |= {f"ledger.{name}": getattr(ledger, name) for name in ("evaluations", "decisions", "events")}
    return world, rows


def follow_up(draw: random.Random, ledger: Any, answer: Answer, as_of: dt.datetime) -> None:
    """The course of a follow-up, as far as it came until now."""
    if answer.category != "detractor" or draw.random() < 0.1:
        return
    due = {"acknowledge_due_at": f"{answer.at + DAY}Z", "due_at": f"{answer.at + 2 * DAY}Z", "sla_hours": 48}
    ledger.event("followup_opened", answer.at, answer.id, assignee_id="u1", assignment_rule="account_owner", **due)
    answer.step = "open"
    at = answer.at
    for _ in range(draw.randrange(7)):
        at += dt.timedelta(hours=draw.randrange(1, 50))
        if at > as_of:
            return
        if answer.step == "closed":
            answer.step, answer.outcome = ("investigating" if answer.first_contact else "open"), None
            ledger.event("followup_reopened", at, answer.id, step=answer.step, by="u", why="again")
        elif answer.first_contact is None and draw.random() < 0.7:
            answer.first_contact, answer.step = at, "acknowledged"
            ledger.event("first_contact", at, answer.id, by="u")
        elif answer.first_contact and draw.random() < 0.6:
            answer.step = draw.choice(STEPS)
            ledger.event("followup_step", at, answer.id, step=answer.step, by="u")
        else:
            answer.step = "closed"
            answer.outcome = draw.choice(OUTCOMES) if answer.first_contact else "no_response"
            ledger.event("outcome", at, answer.id, status="closed", outcome=answer.outcome, by="u")


def act(draw: random.Random, ledger: Any, answer: Answer) -> None:
    """What the workflows plan after an answer."""
    for _ in range(draw.choice([0, 1, 1, 2])):
        change = draw.choice([-10, 0, 5, -70])
        answer.changes.append(change)
        ledger.event("action", answer.at, answer.id, action="own.health", state="planned", change=change)
        ledger.event("action", answer.at, answer.id, action="own.health", state="done")
    if answer.category == "promoter" and draw.random() < 0.7:
        answer.advocate = answer.at
        ledger.event("action", answer.at, answer.id, action="promoter.advocate", state="planned")


def closed_loop(world: World) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """The report by its definitions: one period and segment after the other."""
    detractors = [a for a in world.answers if not a.imported and a.category == "detractor"]
    after = {a.id: world.following(a) for a in detractors}
    converted = [a for a in detractors if (then := after[a.id]) is not None and then.category != "detractor"]
    report = {}
    for grain in ("all", "week", "month", "quarter", "year"):
        for start in {start_of(grain, a.at) for a in detractors}:

            def of_period(answers: list[Answer], grain: str = grain, start: dt.date | None = start) -> list[Answer]:
                return sorted((a for a in answers if start_of(grain, a.at) == start), key=lambda a: a.at)

            latest = {a.account: a for a in of_period(world.answers)}.values()
            risky = [a for a in latest if a in detractors and a.resolution != "resolved"]
            kept = list({a.account: a for a in of_period(converted)}.values())
            for tier in (None, "SMB", "Enterprise"):

                def mine(answers: list[Answer], tier: str | None = tier) -> list[Answer]:
                    return [a for a in answers if tier in (None, world.account(a)[1])]

                found = mine(of_period(detractors))
                if not found:
                    continue
                again = [then for a in found if (then := after[a.id]) is not None]
                report[(grain, start, *(("tier", tier) if tier else ("all", "all")))] = (
                    len(found),
                    *(sum(a.resolution == name for a in found) for name in ("resolved", "in_progress", "unresolved")),
                    sum(a.in_time for a in found),
                    sum((last := world.before(a)) is not None and last.category == "detractor" for a in found),
                    len(again),
                    sum(a.category != "detractor" for a in again),
                    sum(a.category == "promoter" for a in again),
                    len(mine(risky)),
                    sum(world.account(a)[0] for a in mine(risky)),
                    len(mine(kept)),
                    sum(world.account(a)[0] for a in mine(kept)),
                )
    return report


def paths(world: World) -> dict[tuple[Any, ...], tuple[int, int, float, float]]:
    """All paths over all time: pairs, contacts, mean change and share."""
    found: dict[tuple[Any, ...], list[tuple[Answer, Answer]]] = defaultdict(list)
    for answer in world.answers:
        then = world.following(answer)
        if then is None:
            continue
        kinds = ["all"]
        if not answer.imported and answer.category == "detractor":
            in_time = answer.in_time and answer.first_contact is not None and answer.first_contact < then.at
            kinds.append("within_sla" if in_time else "not_within_sla")
        for kind in kinds:
            found[answer.type, kind, answer.category, then.category].append((answer, then))
    return {
        key: (
            len(pairs),
            len({answer.contact for answer, _ in pairs}),
            round(sum(then.score - answer.score for answer, then in pairs) / len(pairs), 6),
            round(len(pairs) / sum(len(more) for other, more in found.items() if other[:3] == key[:3]), 6),
        )
        for key, pairs in found.items()
    }


@pytest.mark.parametrize("seed", [1, 2])
def test_the_marts_say_what_the_definitions_say(workshop: Any, company: ModuleType, seed: int) -> None:
    world, rows = make(company, seed)
    workshop.fill(rows, as_of=world.as_of)
    selected = ["+rpt_closed_loop", "+rpt_score_paths", "+dim_accounts", "+dim_contacts", "assert_closed_loop_adds_up"]
    workshop.dbt("build", "--exclude-resource-type", "unit_test", "--select", *selected)

    report = workshop.query(
        "select period_grain, period_start, segment, segment_value, detractors, resolved, in_progress, unresolved, "
        "contacted_within_sla, repeat_detractors, detractors_answered_again, converted, converted_to_promoter, "
        "accounts_at_risk, money_at_risk, accounts_kept, money_kept from marts.rpt_closed_loop where segment in ('all', 'tier')"
    )
    expected = closed_loop(world)
    assert {row[:4]: row[4:] for row in report} == expected
    whole = expected["all", None, "all", "all"]
    assert min(whole) > 0, "the history has something of everything"

    found = workshop.query(
        "select survey_type, follow_up, from_category, to_category, changes, contacts, mean_change, share "
        "from marts.rpt_score_paths where period_grain = 'all' and segment = 'all'"
    )
    assert {row[:4]: row[4:] for row in found} == paths(world)
    assert {key[1] for key in paths(world)} == {"all", "within_sla", "not_within_sla"}

    latest = {a.contact: a for a in sorted(world.answers, key=lambda a: a.at)}
    changes: dict[str, float] = defaultdict(float)
    for answer in latest.values():
        changes[answer.account] += answer.changes[-1] if answer.changes else 0
    adoption = {
        row["Id"]: row["AdoptionScore__c"] for row in sorted(rows["crm.account"], key=lambda row: row["SystemModstamp"])
    }
    healths = workshop.query("select account_id, health_change, health, open_followups from marts.dim_accounts")
    assert {row[0]: row[1:] for row in healths} == {
        account: (
            changes[account],
            min(100.0, max(0.0, (float(score) if score else 70.0) + changes[account])),
            sum(
                a.account == account and not a.imported and a.category == "detractor" and a.step != "closed"
                for a in world.answers
            ),
        )
        for account, score in adoption.items()
    }

    advocates = {}
    for contact in latest:
        run: list[Answer] = []
        for answer in sorted((a for a in world.answers if a.contact == contact), key=lambda a: a.at):
            run = [*run, answer] if answer.category == "promoter" else []
        since = [answer.advocate for answer in run if answer.advocate]
        if since:
            advocates[contact] = min(since)
    listed = workshop.query("select contact_id, advocate_since from marts.dim_contacts where is_advocate")
    assert dict(listed) == advocates
    assert advocates
