"""Messages as the ledger gives them."""

from __future__ import annotations

from typing import Any

import pytest

from closedloop.programme import Survey
from orchestration.reports import sample_message


@pytest.fixture
def message():
    """Makes the message of an invitation; `survey` changes the definition, keywords the payload."""

    def make(survey: dict[str, Any] | None = None, **payload: Any) -> dict[str, Any]:
        definition = {
            "id": "post-close",
            "name": "Post-Close",
            "type": "transactional",
            "status": "active",
            "company": "Northwind Cloud",
            "triggers": [{"event": "deal_won"}],
        }
        made = sample_message(Survey.model_validate(definition | (survey or {})), "ada@customer.example")
        made["message_id"] = made["invitation_id"] = "0123456789abcdef0123456789abcdef"
        made["payload"] |= payload
        return made

    return make


@pytest.fixture
def alert() -> dict[str, Any]:
    return {
        "message_id": "a1",
        "invitation_id": "0123456789abcdef0123456789abcdef",
        "survey_id": "post-close",
        "kind": "alert",
        "payload": {
            "email": "robin.rep@closedloop.example",
            "cc": ["morgan@closedloop.example"],
            "score": 3,
            "comment": "Too <b>slow</b> & nobody called.",
            "contact_name": "Ada Lovelace",
            "contact_email": "ada@customer.example",
            "account_name": "Acme & Sons",
            "survey_name": "Post-Close",
            "answered_at": "2026-03-02T09:00:00+00:00",
            "acknowledge_due_at": "2026-03-03T09:00:00+00:00",
            "due_at": "2026-03-04T09:00:00+00:00",
        },
    }
