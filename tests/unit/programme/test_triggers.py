"""Triggers: each event has one class, and the key that tells two triggers of one event apart."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from closedloop.programme import Survey, Trigger, TriggerEvent

TRIGGER = TypeAdapter(Trigger)

# event: (parameters, key)
KEYS: list[tuple[str, dict[str, Any], str]] = [
    *((event, {}, "") for event in ("deal_won", "deal_lost", "purchase", "order_delivered", "contract_renewed")),
    *((event, {}, "") for event in ("onboarding_completed", "project_finished", "ticket_resolved")),
    *((event, {"contacts": "all"}, "") for event in ("support_contact", "customer_lost")),
    ("sign_up", {}, ""),
    ("sign_up", {"kind": "trial"}, "trial"),
    ("field_changed", {"field": "Milestone__c"}, "account.milestone__c"),
    (
        "field_changed",
        {"object": "opportunity", "field": "StageName", "to": ["Live", "Rolled out"]},
        "opportunity.stagename=Live|Rolled out",
    ),
    *((event, {}, "") for event in ("schedule_quarterly", "schedule_biannual", "schedule_annual", "schedule_monthly")),
    ("schedule_monthly", {"day_of_month": 31}, "31"),
    ("customer_age", {"after_days": 30}, "30d"),
    ("customer_anniversary", {"after_months": 6}, "6m"),
    ("before_renewal", {"days_before": 60}, "60d"),
    ("fixed_dates", {"dates": ["09-01", "03-01"]}, "03-01,09-01"),
    ("fixed_dates", {"dates": ["02-29"]}, "02-29"),
]


@pytest.mark.parametrize(("event", "parameters", "key"), KEYS)
def test_a_trigger_has_its_key(event: str, parameters: dict[str, Any], key: str) -> None:
    trigger = TRIGGER.validate_python({"event": event, **parameters})
    assert (trigger.event, trigger.key, trigger.delay_days, trigger.max_age_days) == (event, key, 0, None)


def test_every_event_is_in_the_table() -> None:
    assert {event for event, _, _ in KEYS} == {str(event) for event in TriggerEvent}


@pytest.mark.parametrize(
    "wrong",
    [
        {"event": "schedule_monthly", "day_of_month": 32},
        {"event": "schedule_quarterly", "contacts": "all"},
        {"event": "customer_age", "after_days": 0},
        {"event": "customer_anniversary", "after_months": 241},
        {"event": "before_renewal", "days_before": -1},
        {"event": "field_changed"},
        {"event": "field_changed", "field": "a b"},
        {"event": "field_changed", "field": "x'; drop table y; --"},
        {"event": "field_changed", "field": "a.b"},
        {"event": "field_changed", "object": "secrets", "field": "a"},
        {"event": "field_changed", "field": "a", "to": [""]},
        {"event": "sign_up", "kind": "white paper"},
        *(
            {"event": "fixed_dates", "dates": [day]}
            for day in ("02-30", "04-31", "13-01", "00-10", "3-1", "\uff10\uff13-01")
        ),
        {"event": "fixed_dates", "dates": []},
        {"event": "fixed_dates", "dates": ["03-01\n"]},
        {"event": "deal_won", "delay_days": 366},
        {"event": "deal_won", "max_age_days": 0},
        {"event": "deal_won", "key": "mine"},
    ],
    ids=str,
)
def test_what_no_trigger_can_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TRIGGER.validate_python(wrong)


def test_the_definition_holds_what_the_models_read() -> None:
    survey = Survey.model_validate(
        {
            "id": "marks",
            "name": "Marks",
            "type": "relationship",
            "status": "active",
            "company": "CloudPeak",
            "triggers": [{"event": "customer_age", "after_days": 30, "delay_days": 2}, {"event": "schedule_annual"}],
        }
    )
    assert json.loads(survey.definition)["triggers"] == [
        {
            "event": "customer_age",
            "key": "30d",
            "after_days": 30,
            "contacts": "primary",
            "delay_days": 2,
            "max_age_days": None,
        },
        {"event": "schedule_annual", "key": "", "delay_days": 0, "max_age_days": None},
    ]
    assert survey.max_age_of(survey.triggers[0]) == 14
