"""Filters as workflows read them, beside what the models make of the same (their own unit tests)."""

from __future__ import annotations

import datetime as dt

import pytest

from closedloop.programme.filters import parse_filter
from closedloop.programme.matching import matches

FACTS = {
    "contact": {"role": "Chief", "is_primary": True, "mood__c": None},
    "account": {
        "tier": "SMB",
        "contract_value": 9999.5,
        "renewal_date": dt.datetime(2026, 3, 2, 9),  # noqa: DTZ001 - as a file of the marts has it
        "open_cases": 0,
        "industry": None,
        "health__c": "good",
    },
}


@pytest.mark.parametrize(
    ("where", "holds"),
    [
        ("", True),
        ("account.tier = 'SMB'", True),
        ("account.tier != 'SMB'", False),
        ("account.tier = 'Enterprise' or contact.role = 'Chief'", True),
        ("account.tier = 'SMB' and contact.role = 'User'", False),
        ("account.tier in ['SMB', 'Enterprise']", True),
        ("account.contract_value >= 9999.5", True),
        ("account.contract_value > 10000", False),
        ("account.open_cases = 0", True),
        ("account.renewal_date <= '2026-03-02'", True),
        ("contact.is_primary = true", True),
        ("account.industry = 'Energy'", False),
        ("account.industry != 'Energy'", True),
        ("account.industry is empty", True),
        ("account.Health__c = 'good'", True),
        ("account.HEALTH__c = 'good'", True),
        ("account.Health__c != 'good'", False),
        ("contact.Mood__c is empty", True),
        ("contact.Mood__c != 'calm'", True),
        ("account.Nowhere__c is empty", False),
        ("account.Nowhere__c = 'x'", False),
        ("account.Nowhere__c != 'x'", False),
    ],
)
def test_a_filter_lets_in_as_the_models_would(where, holds):
    assert matches(parse_filter(where), FACTS) is holds
