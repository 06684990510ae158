"""Sequences of mails to a customer, such as to win somebody back: one mail after the other, as long as nothing speaks against it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any

from closedloop.clock import parse_time
from closedloop.ledger import Ledger, followups
from closedloop.ledger import sequences as books
from closedloop.ledger.actions import DONE, MAIL, SEQUENCE, SKIPPED, Action, due_actions
from closedloop.programme import Survey
from closedloop.programme.workflows import MailSequence
from dispatch.followup import survey_of
from dispatch.knowledge import Knowledge, NothingKnown
from dispatch.workflows import reply_of, words_in

LOOK_AGAIN = dt.timedelta(hours=6)
"""A sequence that waits for a case or a follow-up to close is looked at again after so long."""


def advance_sequences(
    ledger: Ledger, surveys: Iterable[Survey], *, now: dt.datetime, knowledge: Knowledge | None = None
) -> int:
    """Plan the mails of sequences that are due; returns how many.

    A sequence ends with a newer answer, an unsubscribe or another suppression, an exclusion, and a case that was opened
    since it began; one that waits for the follow-up to close waits for the account's cases too. The sender looks at the
    suppression again.
    """
    knowledge, known = knowledge or NothingKnown(), {survey.id: survey for survey in surveys}
    planned, after = 0, ("", "")
    while rows := due_actions(ledger, [SEQUENCE], now=now, after=after):
        for row in rows:
            planned += _advance(ledger, row, known, knowledge, now)
        after = (rows[-1]["invitation_id"], rows[-1]["action"])
    return planned


def _advance(
    ledger: Ledger, row: Mapping[str, Any], surveys: Mapping[str, Survey], knowledge: Knowledge, now: dt.datetime
) -> bool:
    key, payload = (row["invitation_id"], row["action"]), dict(row["payload"])
    invitation = books.invitation_of(ledger, row["invitation_id"])
    survey = survey_of(invitation, surveys)
    sequence = next((one for one in survey.sequences if one.id == payload["sequence"]), None)
    if sequence is None:
        return books.end(ledger, key, SKIPPED, "the programme has no such sequence", now=now)
    if why := books.stopped_by(ledger, row, since=parse_time(payload["begins_at"]), now=now):
        return books.end(ledger, key, SKIPPED, why, now=now)
    open_cases = int(knowledge.of(row["contact_id"], row["account_id"]).account.get("open_cases") or 0)
    if sequence.starts == "when_closed" and not payload["sent"]:
        closed_at = _closed_at(ledger, row["invitation_id"], now)
        if closed_at is None or open_cases:
            return books.wait(ledger, key, payload, until=now + LOOK_AGAIN)
        if not payload.get("released"):
            payload |= {"begins_at": closed_at.isoformat(), "released": True}
    elif open_cases > payload.setdefault("open_cases", open_cases):
        return books.end(ledger, key, SKIPPED, "a case was opened", now=now)
    return _next_mail(ledger, row, invitation, sequence, payload, now)


def _next_mail(
    ledger: Ledger,
    row: Mapping[str, Any],
    invitation: Mapping[str, Any],
    sequence: MailSequence,
    payload: dict[str, Any],
    now: dt.datetime,
) -> bool:
    """Plan the mail whose day has come, and wait for the one after it; False where none has."""
    key = (row["invitation_id"], row["action"])
    begins, number = parse_time(payload["begins_at"]), payload["sent"]

    def due(which: int) -> dt.datetime:
        return begins + dt.timedelta(days=sequence.mails[which].after_days)

    if due(number) > now:
        return books.wait(ledger, key, payload, until=due(number))
    mail, name = sequence.mails[number], f"{row['action']}:{number + 1}"
    words = words_in(mail, mail.languages, invitation)
    action = Action(name, MAIL, message=reply_of(invitation, name, words, now))
    payload["sent"] = number + 1
    is_last = payload["sent"] == len(sequence.mails)
    # What the platform slept through does not come all at once: a day lies between two mails at least.
    until = None if is_last else max(due(number + 1), now + dt.timedelta(days=1))
    return books.take_step(ledger, row, action, payload, until=until, ends=DONE if is_last else None, now=now)


def _closed_at(ledger: Ledger, invitation_id: str, now: dt.datetime) -> dt.datetime | None:
    """When the follow-up of this answer was closed; where there never was one, nothing has to be waited for."""
    with ledger.read() as conn:
        found = followups.read_followup(conn, invitation_id)
    return now if found is None else found["closed_at"]
