"""Who follows up: the survey's rule, the manager for critical scores, and who stands in when someone is missing."""

from __future__ import annotations

import pytest

from closedloop.programme.definitions import FollowUp
from closedloop.settings import Settings
from dispatch.assigning import Staff, assign

EVERYONE = {
    "owner_id": "U1",
    "owner_email": "owner@x.example",
    "manager_id": "U2",
    "manager_email": "manager@x.example",
    "csm_id": "U3",
    "csm_email": "csm@x.example",
}
OWNER = FollowUp()
OWNER_AND_MANAGER = FollowUp(manager_up_to_score=3)
CSM = FollowUp(assignment="customer_success_manager")


@pytest.mark.parametrize(
    ("rules", "score", "missing", "person", "rule"),
    [
        (OWNER, 6, "", "U1", "account_owner"),
        (OWNER, 0, "", "U1", "account_owner"),
        (OWNER_AND_MANAGER, 4, "", "U1", "account_owner"),
        (OWNER_AND_MANAGER, 3, "", "U2", "manager"),
        (OWNER_AND_MANAGER, 3, "manager", "U1", "fallback_account_owner"),
        (CSM, 5, "", "U3", "customer_success_manager"),
        (CSM, 5, "csm", "U1", "fallback_account_owner"),
        (CSM, 5, "csm owner", "U2", "fallback_manager"),
        (OWNER, 5, "owner", "U2", "fallback_manager"),
        (OWNER, 5, "owner manager csm", None, "fallback_operator"),
    ],
)
def test_who_takes_it(settings: Settings, rules: FollowUp, score: int, missing: str, person: str | None, rule: str):
    known = {name: None if name.split("_")[0] in missing.split() else value for name, value in EVERYONE.items()}
    found = assign(rules, score, known, settings)
    assert (found.person_id, found.rule) == (person, rule)
    if person is None:
        assert found.email == settings.operator_address


def test_a_misspelt_address_is_as_good_as_none(settings: Settings):
    found = assign(OWNER, 5, {**EVERYONE, "owner_email": "owner@"}, settings)
    assert (found.email, found.rule) == ("manager@x.example", "fallback_manager")


@pytest.mark.parametrize(
    ("rules", "staff", "person", "rule", "why"),
    [
        (OWNER, Staff(left=frozenset({"U1"})), "U2", "fallback_manager", {"account_owner": "left"}),
        (OWNER, Staff(away=frozenset({"owner@x.example"})), "U2", "fallback_manager", {"account_owner": "away"}),
        (CSM, Staff(left=frozenset({"U3"})), "U1", "fallback_account_owner", {"customer_success_manager": "left"}),
        (
            OWNER,
            Staff(left=frozenset({"U1"}), away=frozenset({"manager@x.example"})),
            None,
            "fallback_operator",
            {"account_owner": "left", "manager": "away"},
        ),
    ],
)
def test_who_stands_in_and_why(settings: Settings, rules: FollowUp, staff: Staff, person, rule: str, why: dict):
    found = assign(rules, 5, EVERYONE, settings, staff=staff)
    assert (found.person_id, found.rule, found.passed_over) == (person, rule, why)


def test_a_team_takes_turns_and_the_owner_stands_in_when_all_are_away(settings: Settings):
    team = [{"email": "ann@x.example", "name": "Ann", "id": "U7"}, {"email": "ben@x.example"}]
    rules = FollowUp.model_validate({"assignment": "round_robin", "team": team, "manager_up_to_score": 3})
    found = assign(rules, 5, EVERYONE, settings, take_turn=lambda members: members[0])
    assert (found.person_id, found.name, found.email, found.rule) == ("U7", "Ann", "ann@x.example", "round_robin")
    assert assign(rules, 3, EVERYONE, settings, take_turn=lambda members: members[0]).rule == "manager"
    alone = assign(rules, 5, EVERYONE, settings, take_turn=lambda members: None)
    assert (alone.rule, alone.passed_over) == ("fallback_account_owner", {"round_robin": "away"})
