"""The eligibility models against a plain model of the rules, on thousands of random histories, fed as facts arrive."""

from __future__ import annotations

import datetime as dt
import json
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from closedloop.identity import person_key
from closedloop.programme import Rule, TriggerEvent, WaitingRule
from tests.support import rules_model as model
from tests.support.rules_histories import START, after_asks, histories, in_order, programme_changes, random_surveys
from tests.support.rules_workshop import RulesWorkshop

pytestmark = pytest.mark.slow

SEED = int(os.environ.get("RULES_SEED", "20260202"))
ISLANDS = int(os.environ.get("RULES_ISLANDS", "640"))

# Days and hours after the start; by hour, for a build may run at any time. Twice one day, midnight, before a clock
# change and after it, ends of months.
MOMENTS = (
    *((0, 6.0), (2, 13.5), (5, 9.25), (5, 22.0), (9, 8.0), (12, 16.0), (20, 0.0)),
    *((27, 9.0), (31, 15.0), (41, 12.0), (48, 9.0), (56, 1.5), (58, 14.0), (64, 10.0)),
)
LATER_KNOWN = {3: 2.0, 10: 6.0}
"""Evaluations that stand on an earlier moment than what is known: so many hours."""


class Story:
    """One world from its first fact to its last evaluation."""

    def __init__(self, home: Path) -> None:
        self.rng = random.Random(SEED)
        self.workshop = RulesWorkshop(home)
        self.surveys = random_surveys(self.rng)
        self.pending: list[Any] = [*programme_changes(self.rng, self.surveys), *histories(self.rng, ISLANDS)]
        self.arrived: list[Any] = []
        self.sealed: dict[str, model.Decision] = {}
        self.compared = 0
        self.differences: list[str] = []
        self.decided: Counter[str] = Counter()
        self.events: Counter[tuple[str, str]] = Counter()
        self.scopes: Counter[tuple[str, bool]] = Counter()
        self.wishes: Counter[str] = Counter()

    def feed(self, until: dt.datetime) -> None:
        """All that arrives until then, in its order."""
        new = in_order((fact for fact in self.pending if fact.known_at <= until), len(self.arrived))
        self.pending = [fact for fact in self.pending if fact.known_at > until]
        self.workshop.append(new)
        self.arrived += new

    def evaluate(self, as_of: dt.datetime, known_at: dt.datetime) -> None:
        """Build, compare every proposal, seal, and let the mails go out."""
        self.feed(known_at)
        self.workshop.build(as_of, known_at, "+survey_queue")
        rows = self.workshop.queue()
        world = model.World.of(self.arrived, as_of, known_at)
        expected = model.evaluate(world)
        self.compare(as_of, rows, expected, world)

        sealed_at = known_at + dt.timedelta(minutes=10)
        decisions = [
            model.sealed(world, expected[row["candidate_id"]][0], row["decision"], sealed_at)
            for row in rows
            if row["decision"] != "defer" and row["candidate_id"] in expected
        ]
        again = [one.candidate_id for one in decisions if one.candidate_id in self.sealed]
        assert not again, "what is sealed was proposed again"
        self.sealed |= {one.candidate_id: one for one in decisions}
        self.workshop.seal(rows, as_of, sealed_at)
        self.arrived += decisions
        self.pending += after_asks(self.rng, [one for one in decisions if one.decision == "ask"])

    def compare(self, as_of: dt.datetime, rows: list[dict[str, Any]], expected: dict[str, Any], world: Any) -> None:
        found = {row["candidate_id"]: row for row in rows}
        assert len(found) == len(rows), "a candidate stands in the queue twice"
        self.compared += len(found.keys() | expected.keys())
        for key in found.keys() | expected.keys():
            want = told(expected[key], world) if key in expected else None
            have = said(found[key]) if key in found else None
            if want != have:
                self.differences.append(f"{as_of}: {difference(have, want)}")
        for one, proposal in expected.values():
            self.decided[proposal.deciding_rule] += 1
            self.events[one.event, proposal.decision] += 1
            cooldown = one.survey.cooldown
            self.scopes[cooldown.scope, proposal.deciding_rule == "cooldown"] += 1
            self.wishes.update(by_wish(world, one, proposal))


def by_wish(world: model.World, one: model.Candidate, proposal: model.Proposal) -> Iterator[str]:
    """What of a proposal comes of the person's own wishes, and of nothing else."""
    contact = world.people.get(one.contact_id)
    person = model.person_of(contact.email) if contact else None
    if proposal.deciding_rule == "suppressed" and not model.gets_no_mail(world, person, world.as_of):
        yield "not wanted"
    if proposal.deciding_rule == "cooldown" and not model.cools_down(world, one, world.as_of.date()):
        yield f"too soon, {one.survey.cooldown.scope}"
    if proposal.decision == "ask" and world.ends.get(person or ""):
        yield "subscribed again"
    if proposal.decision == "ask" and world.wishes_of.get((person or "", one.survey.id)):
        yield "wanted again" if len(world.wishes_of[person or "", one.survey.id]) > 1 else "wanted"


def difference(have: dict[str, Any] | None, want: dict[str, Any] | None) -> str:
    """What the models say and what the rules say, where they differ."""
    about = have or want or {}
    names = [name for name in about if have is None or want is None or have[name] != want[name]]
    what = f"{about['survey_id']} {about['contact_id']} {about['trigger_event']} {about['trigger_record_id']}"
    both = [one and [one[name] for name in (*names, "due_at")] for one in (have, want)]
    return f"{what}: {', '.join(names)}\n  models: {both[0]}\n  rules:  {both[1]}"


def said(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the queue, as far as the rules speak of it."""
    kept = ("contact_id", "account_id", "person_key", "survey_id", "trigger_event", "trigger_record_id", "due_at")
    kept += ("decision", "deciding_rule")
    return {name: row[name] for name in kept} | {"all_failed_rules": json.loads(row["all_failed_rules"])}


def told(expected: tuple[model.Candidate, model.Proposal], world: model.World) -> dict[str, Any]:
    """The same of the plain model."""
    one, proposal = expected
    contact = world.people.get(one.contact_id)
    person = model.person_of(contact.email) if contact else None
    return {
        "contact_id": one.contact_id,
        "account_id": model.asked_account(world, one),
        "person_key": person_key(person) if person else None,
        "survey_id": one.survey.id,
        "trigger_event": one.event,
        "trigger_record_id": one.record_id,
        "due_at": one.due_at,
        "decision": proposal.decision,
        "deciding_rule": proposal.deciding_rule,
        "all_failed_rules": list(proposal.all_failed_rules),
    }


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    story = Story(tmp_path_factory.mktemp("rules"))
    for number, (days, hours) in enumerate(MOMENTS):
        known_at = START + dt.timedelta(days=days, hours=hours)
        story.evaluate(known_at - dt.timedelta(hours=LATER_KNOWN.get(number, 0.0)), known_at)
        if story.differences:
            break  # what follows would only follow from it
    return story


def test_every_proposal_is_what_the_rules_say(story: Story) -> None:
    assert not story.differences, f"{len(story.differences)} differ, such as\n" + "\n".join(story.differences[:10])


def test_nobody_is_asked_twice_for_one_occasion(story: Story) -> None:
    rows = story.workshop.query("select candidate_id, decision from lake.ledger_decisions")
    assert len(rows) == len({key for key, _ in rows})
    assert dict(rows) == {key: one.decision for key, one in story.sealed.items()}, "a sealed decision changed"
    occasions = Counter(
        (one.survey_id, one.contact_id, one.event, one.record_id)
        for one in story.sealed.values()
        if one.decision == "ask"
    )
    assert max(occasions.values()) == 1


def test_the_histories_covered_every_rule_trigger_and_scope(story: Story) -> None:
    contacts = {fact.id for fact in story.arrived if isinstance(fact, model.Version) and fact.kind is model.Contact}
    print(f"\n{len(contacts)} histories, {len(MOMENTS)} evaluations, {story.compared} proposals, {dict(story.decided)}")
    print(dict(story.events), dict(story.scopes), dict(story.wishes))
    assert len(contacts) >= 3000
    assert {rule for rule in (*Rule, *WaitingRule) if story.decided[rule] < 5} == set()
    assert {event for event in TriggerEvent if not story.events[event, "ask"]} == set()
    assert {event for event in TriggerEvent if not story.events[event, "skip"]} == set()
    for scope in ("global", "family", "survey"):
        assert story.scopes[scope, True] and story.scopes[scope, False], scope
    by_wishes = {"not wanted", "subscribed again", "wanted", "wanted again"}
    by_wishes |= {f"too soon, {scope}" for scope in ("global", "family", "survey")}
    assert {wish for wish in by_wishes if story.wishes[wish] < 5} == set()
