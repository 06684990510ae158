"""Reminders: who was sent an invitation and has not answered gets another mail, on the days that the survey names.

Each has a window of its own, from its day to that of the next, a week at most: what a platform that was down has missed
never comes later, and a survey that begins to remind does not reach back to the invitations of months ago.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select

from closedloop.ledger.engine import Ledger, serialise
from closedloop.ledger.messages import visible
from closedloop.ledger.rows import Row, add_messages
from closedloop.ledger.schema import answers, events, exclusions, messages, suppressions
from closedloop.programme import Survey

WINDOW = dt.timedelta(days=7)
"""So long after its day a reminder may still be sent."""
APART = dt.timedelta(days=1)
"""Two reminders lie at least so far apart, also where the first one had to wait."""
CHUNK = 500


@dataclass(frozen=True)
class _Step:
    """One reminder of one survey: due `begins` after the invitation was sent, never sent `ends` after it."""

    survey_id: str
    sequence: int
    begins: dt.timedelta
    ends: dt.timedelta


def plan_reminders(ledger: Ledger, surveys: Iterable[Survey], *, now: dt.datetime, chunk: int = CHUNK) -> int:
    """Plan each reminder that is due now and not planned yet, as a pending message; returns how many.

    Only invitations that were sent, by surveys that are active, whose links are valid; not where there is an answer, an
    unsubscribe or another suppression, a hard bounce or an exclusion. The days are those of the survey as it is now, so
    that taking them out stops it; all else is as in the invitation. At the hand-over the same is looked at again.
    """
    planned = 0
    for step in _steps(surveys):
        due = _due(step, now)
        found = chunk
        while found == chunk:
            with ledger.read() as conn:  # most often nothing is due, and nobody has to wait
                if conn.execute(due.with_only_columns(messages.c.message_id).limit(1)).first() is None:
                    break
            with ledger.write() as conn:
                serialise(conn, "reminders")
                rows = conn.execute(due.limit(chunk)).mappings().all()
                add_messages(conn, [_reminder(row, step, now) for row in rows])
            found = len(rows)
            planned += found
    return planned


def due_reminders(ledger: Ledger, surveys: Iterable[Survey], *, now: dt.datetime, limit: int = CHUNK) -> list[str]:
    """Ids of reminders that `plan_reminders` would plan now, at most `limit` of each survey and day."""
    ids = []
    with ledger.read() as conn:
        for step in _steps(surveys):
            found = _due(step, now).with_only_columns(messages.c.message_id).limit(limit)
            ids += [_id(invitation_id, step.sequence) for invitation_id in conn.scalars(found)]
    return ids


def _steps(surveys: Iterable[Survey]) -> Iterator[_Step]:
    for survey in surveys:
        if survey.status != "active":
            continue
        days = [dt.timedelta(days=count) for count in survey.reminders.after_days]
        for place, begins in enumerate(days):
            ends = min([begins + WINDOW, *days[place + 1 : place + 2]])
            yield _Step(survey.id, place + 1, begins, ends)


def _due(step: _Step, now: dt.datetime) -> Select[Any]:
    """The invitations whose reminder this is, in a fixed order."""
    this = messages.c
    answered = select(answers.c.invitation_id).where(answers.c.invitation_id == this.invitation_id)
    suppressed = select(suppressions.c.person_key).where(suppressions.c.person_key == this.person_key)
    excluded = select(exclusions.c.subject).where(
        or_(
            and_(exclusions.c.subject == "contact", exclusions.c.subject_id == this.contact_id),
            and_(exclusions.c.subject == "account", exclusions.c.subject_id == this.account_id),
        ),
        or_(exclusions.c.until.is_(None), exclusions.c.until > now),
    )
    bounced = and_(events.c.kind == "bounced", _says("hard", "true"), ~_says("message_kind", '"alert"'))
    left = select(events.c.seq).where(
        events.c.invitation_id == this.invitation_id, or_(events.c.kind == "unsubscribed", bounced)
    )
    other = messages.alias()
    reminded = select(other.c.message_id).where(
        other.c.invitation_id == this.invitation_id,
        other.c.kind == "reminder",
        or_(
            other.c.sequence >= step.sequence,
            other.c.state.in_(("claimed", "handed")),
            and_(other.c.state == "pending", other.c.expires_at > now),
            and_(other.c.state.in_(("sent", "uncertain")), other.c.state_at > now - APART),
        ),
    )
    return (
        select(messages)
        .where(
            this.state == "sent",
            this.kind == "invitation",
            this.survey_id == step.survey_id,
            this.state_at <= now - step.begins,
            this.state_at > now - step.ends,
            or_(this.link_expires_at.is_(None), this.link_expires_at > now),
            visible(),
            *(~found.exists() for found in (answered, suppressed, excluded, left, reminded)),
        )
        .order_by(this.state_at, this.message_id)
    )


def _says(name: str, value: str) -> ColumnElement[bool]:
    """Whether an event's payload holds this, in the way in which this program or another writes JSON."""
    return or_(*(events.c.payload.contains(f'"{name}":{blank}{value}', autoescape=True) for blank in ("", " ")))


def _reminder(invitation: Row, step: _Step, now: dt.datetime) -> dict[str, Any]:
    """The message: to the same person, with the same links and texts, and an id (so a Message-ID) of its own."""
    ends = [invitation["state_at"] + step.ends, invitation["link_expires_at"]]
    return {
        **{name: invitation[name] for name in _AS_INVITED},
        "message_id": _id(invitation["message_id"], step.sequence),
        "kind": "reminder",
        "sequence": step.sequence,
        "planned_at": now,
        "expires_at": min(end for end in ends if end is not None),
    }


_AS_INVITED = (
    *("invitation_id", "survey_id", "wave_id", "contact_id", "account_id", "person_key"),
    *("payload", "link_expires_at", "channel"),
)


def _id(invitation_id: str, sequence: int) -> str:
    return hashlib.md5(f"{invitation_id}|reminder|{sequence}".encode()).hexdigest()
