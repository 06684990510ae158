"""People who answer on the website without being asked: their answer stands in the ledger like any other, but in no book of
messages, no cooldown and no funnel, since nobody was invited.
"""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from sqlalchemy import Connection, insert, select, update

from closedloop.identity import person_key
from closedloop.ledger.rows import add_events, event, to_json
from closedloop.ledger.schema import messages
from closedloop.programme import Survey

FORM = "form"
"""The kind of their row in `messages`: the ground on which answers, follow-up and change of mind stand."""
CHANNEL = "web_form"
_KNOWN_OF_A_PERSON = (
    *("first_name", "last_name", "contact_name", "account_name", "time_zone"),
    *(f"{role}_{fact}" for role in ("owner", "manager", "csm") for fact in ("id", "name", "email")),
)


def note_visitor(
    conn: Connection, visit_id: str, survey: Survey, *, email: str, language: str, at: dt.datetime, now: dt.datetime
) -> None:
    """Make room for the answer of a visit (its id is 32 hexadecimal digits); who gave an address may give another.

    Whoever was invited before under this address is the same person, with the same account and owner; the warehouse looks
    the address up in the CRM.
    """
    person = person_key(email) if email else None
    known = conn.execute(select(messages.c.person_key).where(messages.c.message_id == visit_id)).first()
    if known is not None and (person is None or known.person_key == person):
        return
    contact_id, account_id, facts = _who(conn, person)
    row = {
        "contact_id": contact_id or (f"address:{person}" if person else f"visitor:{visit_id}"),
        "account_id": account_id,
        "person_key": person,
        "payload": to_json(
            {
                **facts,
                "email": email,
                "language": language,
                "company": survey.company,
                "survey_type": survey.type,
                "definition": survey.model_dump(mode="json"),
            }
        ),
    }
    about = {"message_id": visit_id, "invitation_id": visit_id, "survey_id": survey.id, **row}
    if known is None:
        made = {"wave_id": f"{FORM}:{visit_id}", "kind": FORM, "sequence": 0, "channel": CHANNEL, "cooldown_days": 0}
        times = {"planned_at": at, "state_at": at, "link_expires_at": at + dt.timedelta(days=survey.link_valid_days)}
        conn.execute(insert(messages), {**about, **made, **times, "state": "sent", "attempts": 0})
    else:
        conn.execute(update(messages).where(messages.c.message_id == visit_id).values(**row))
    add_events(conn, [event("form_submitted", about, at=at, now=now, person_key=person)])


def is_visitor(contact_id: str) -> bool:
    """Whether this is nobody whom the CRM knows by an id, but a visitor of the website."""
    return contact_id.partition(":")[0] in ("address", "visitor")


def _who(conn: Connection, person: str | None) -> tuple[str | None, str | None, dict[str, Any]]:
    """Contact, account and what else is known of a person from their newest invitation."""
    if person is None:
        return None, None, {}
    found = conn.execute(
        select(messages.c.contact_id, messages.c.account_id, messages.c.payload)
        .where(messages.c.person_key == person, messages.c.kind == "invitation")
        .order_by(messages.c.planned_at.desc())
        .limit(1)
    ).first()
    if found is None:
        return None, None, {}
    payload = json.loads(found.payload)
    return found.contact_id, found.account_id, {name: payload.get(name) for name in _KNOWN_OF_A_PERSON}
