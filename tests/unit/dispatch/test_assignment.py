"""Who follows up: the survey's rule, the manager for critical scores, and who stands in when someone is missing."""

from __future__ import annotations

import pytest

from closedloop.programme.definitions import FollowUp
from closedloop.settings import Settings
from dispatch.followup import assign, task_title

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
    ("payload", "title"),
    [
        (
            {"contact_name": "Ada Lovelace", "account_name": "Acme"},
            "Follow up on detractor NPS response from Ada Lovelace at Acme",
        ),
        (
            {"first_name": "Ada", "last_name": "Lovelace", "account_name": "Acme"},
            "Follow up on detractor NPS response from Ada Lovelace at Acme",
        ),
        ({}, "Follow up on detractor NPS response from a contact at an unknown account"),
    ],
)
def test_the_title_of_the_task(payload: dict, title: str):
    assert task_title(payload) == title
