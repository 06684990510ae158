"""What respondents did, as the collector heard it: hits, answers, changes of mind, unsubscribes.

All functions take an open write transaction, so that the collector commits many requests at once. Nothing is written
before an error is raised: one bad request does not spoil the group it is committed with.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from closedloop.errors import BadInput
from closedloop.ledger.actions import plan_opt_out
from closedloop.ledger.lists import suppress
from closedloop.ledger.messages import visible
from closedloop.ledger.rows import add_events, event, to_json
from closedloop.ledger.schema import answers, events, messages, suppressions

CHANGE_OF_MIND = dt.timedelta(hours=24)
"""The last score within this time of the first one counts."""

ANSWERED_KINDS = ("invitation", "form")
"""Messages that an answer belongs to: what was asked, and what a visitor of the website answered without being asked."""

HITS = ("opened", "clicked", "viewed")


@dataclass(frozen=True)
class Answer:
    """The newest counted answer of an invitation; times are aware UTC."""

    score: int
    comment: str | None
    answers: dict[str, Any]
    channel: str
    judged: str
    submitted_at: dt.datetime
    scored_at: dt.datetime
    changed_at: dt.datetime
    version: int
    worked_version: int

    def facts(self) -> dict[str, Any]:
        """What an `answered` event says of it."""
        names = ("score", "comment", "answers", "channel", "judged", "version")
        return {**{name: getattr(self, name) for name in names}, "scored_at": self.scored_at.isoformat()}


@dataclass(frozen=True)
class Invitation:
    """All that a page needs to know of an invitation."""

    invitation_id: str
    survey_id: str
    wave_id: str
    contact_id: str
    account_id: str | None
    person_key: str | None
    channel: str
    state: str
    planned_at: dt.datetime
    link_expires_at: dt.datetime | None
    payload: dict[str, Any] = field(repr=False)
    answer: Answer | None = field(repr=False)

    def is_expired(self, now: dt.datetime) -> bool:
        """Whether its links have ended."""
        return self.link_expires_at is not None and now >= self.link_expires_at


@dataclass(frozen=True)
class Recorded:
    """What became of an answer. `counted` is False when it came too late to change the score that stands."""

    counted: bool
    changed: bool
    answer: Answer


def invitation(conn: Connection, invitation_id: str) -> Invitation | None:
    """The sealed invitation of this id with its answer, or None: unknown, or staged and not sealed."""
    row = conn.execute(_INVITATION, {"id": invitation_id}).mappings().first()
    if row is None:
        return None
    return Invitation(
        **{name: row[name] for name in _PAGE_COLUMNS},
        payload=json.loads(row["payload"]),
        answer=_answer(row) if row["score"] is not None else None,
    )


def record_hit(
    conn: Connection,
    invitation_id: str,
    kind: str,
    *,
    at: dt.datetime,
    now: dt.datetime,
    score: int | None = None,
    hidden: bool = False,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Keep a raw hit: 'opened' (pixel), 'clicked' (GET of a score link, `hidden` for the trap), 'viewed' (page).

    A hit is never a score. Raises BadInput for an unknown kind or invitation.
    """
    if kind not in HITS:
        raise BadInput(f"no such kind of hit: '{kind}'", field="kind")
    about = _about(conn, invitation_id)
    click = {"score": score, "hidden": hidden} if kind == "clicked" else {}
    add_events(conn, [event(kind, about, at=at, now=now, message_kind="invitation", **click, **(details or {}))])


def record_answer(
    conn: Connection,
    invitation_id: str,
    score: int,
    *,
    comment: str | None = None,
    answers: Mapping[str, Any] | None = None,
    channel: str,
    judged: str,
    visible_ms: int | None = None,
    completed: bool | None = None,
    at: dt.datetime,
    now: dt.datetime,
) -> Recorded:
    """Record a score, a change of mind, or a comment added to the score that stands.

    The last score within 24 hours of the first one counts; a later one is kept as an event that does not count. A
    provisional answer never replaces a human one; a human one always replaces a provisional one and starts the 24
    hours anew. `comment` or `answers` None means not given: what stands for the same score is kept; an empty one takes
    it back. The same answer again changes nothing. `completed`: the follow-up question was sent too (default: it has an
    answer). `visible_ms` is how long the page was visible. Raises BadInput for a score outside 0..10, an unknown
    judgement or an unknown invitation.
    """
    if isinstance(score, bool) or not isinstance(score, int) or not 0 <= score <= 10:
        raise BadInput("a score is a whole number from 0 to 10", field="score")
    if judged not in ("human", "provisional"):
        raise BadInput(f"an answer is judged 'human' or 'provisional', not '{judged}'", field="judged")
    about = _about(conn, invitation_id)
    old = _answer(about) if about["score"] is not None else None
    new = _merge(old, score, comment, answers, channel, judged, at)
    if old is not None and new == old:
        return Recorded(counted=True, changed=False, answer=old)
    counted = _counts(old, new, at)
    payload = {
        **new.facts(),
        "visible_ms": visible_ms,
        "counted": counted,
        "completed": bool(new.comment or new.answers) if completed is None else completed,
    }
    add_events(conn, [event("answered", about, at=at, now=now, message_kind="invitation", **payload)])
    if not counted:
        assert old is not None, "a first answer counts"
        conn.execute(update(_TABLE).where(_TABLE.c.invitation_id == invitation_id).values(version=new.version))
        return Recorded(counted=False, changed=False, answer=old)
    if old is None:
        conn.execute(insert(_TABLE).inline(), {"invitation_id": invitation_id, **answer_row(new)})
    else:
        conn.execute(update(_TABLE).where(_TABLE.c.invitation_id == invitation_id).values(**answer_row(new)))
    return Recorded(counted=True, changed=True, answer=new)


def answer_row(answer: Answer) -> dict[str, Any]:
    """The columns of the answer that stands, without its invitation."""
    return {name: getattr(answer, name) for name in _ANSWER_COLUMNS} | {"answers": to_json(answer.answers)}


def unsubscribe(conn: Connection, invitation_id: str, *, at: dt.datetime, now: dt.datetime) -> bool:
    """Never write to this invitation's address again. False when that was so already; the same request is no error.

    What is pending for the address is suppressed when the sender comes to it. Raises BadInput for an unknown
    invitation.
    """
    about = _about(conn, invitation_id)
    reason = suppressed_for(conn, about["person_key"])
    said = select(events.c.seq).where(events.c.invitation_id == invitation_id, events.c.kind == "unsubscribed")
    if reason == "unsubscribed" or (reason and conn.execute(said.limit(1)).first()):
        return False
    add_events(conn, [event("unsubscribed", about, at=at, now=now, message_kind="invitation")])
    plan_opt_out(conn, about, now=now)
    keys = [about["person_key"]] if about["person_key"] else []
    return bool(suppress(conn, keys, "unsubscribed", now=now))


def suppressed_for(conn: Connection, person_key: str | None) -> str | None:
    """Why this address gets nothing, or None."""
    return conn.scalar(select(suppressions.c.reason).where(suppressions.c.person_key == person_key))


def void(conn: Connection, invitation_id: str, *, by: str, why: str, at: dt.datetime, now: dt.datetime) -> None:
    """Take an answer out of all numbers, with who and why. Raises BadInput when there is no answer."""
    about = _about(conn, invitation_id)
    if about["score"] is None:
        raise BadInput("this invitation has no answer", field="invitation_id")
    add_events(conn, [event("voided", about, at=at, now=now, by=by, why=why)])


_TABLE = answers
_ANSWER_COLUMNS = tuple(Answer.__dataclass_fields__)
_PAGE_COLUMNS = tuple(name for name in Invitation.__dataclass_fields__ if name not in ("payload", "answer"))
_IDS = [messages.c[name] for name in ("message_id", *_PAGE_COLUMNS)]


_ABOUT_INVITATION = (
    select(*_IDS, *(answers.c[name] for name in _ANSWER_COLUMNS))
    .select_from(messages.outerjoin(answers, answers.c.invitation_id == messages.c.invitation_id))
    .where(messages.c.invitation_id == bindparam("id"), messages.c.kind.in_(ANSWERED_KINDS), visible())
)
_INVITATION = _ABOUT_INVITATION.add_columns(messages.c.payload)
_HOLD = select(messages.c.message_id).where(messages.c.message_id == bindparam("id")).with_for_update()


def _about(conn: Connection, invitation_id: str) -> Mapping[str, Any]:
    """Ids and answer of an invitation; on PostgreSQL it is held first, so that two answers to it come one after the other.
    (Held and read in one statement, the second would see the answer that stood before the first.)
    """
    if conn.dialect.name != "sqlite":
        conn.execute(_HOLD, {"id": invitation_id})
    row = conn.execute(_ABOUT_INVITATION, {"id": invitation_id}).mappings().first()
    if row is None:
        raise BadInput("there is no such invitation", field="invitation_id")
    return row


def _answer(row: Mapping[str, Any]) -> Answer:
    values = {name: row[name] for name in _ANSWER_COLUMNS}
    return Answer(**values | {"answers": json.loads(values["answers"])})


def _merge(
    old: Answer | None,
    score: int,
    comment: str | None,
    given: Mapping[str, Any] | None,
    channel: str,
    judged: str,
    at: dt.datetime,
) -> Answer:
    """The answer that stands if the new one counts; equal to `old` when it says nothing new."""
    if old is None:
        return Answer(score, comment or None, dict(given or {}), channel, judged, at, at, at, 1, 0)
    same = score == old.score
    stronger = judged == "human" and old.judged == "provisional"
    new_comment = (comment or None) if comment is not None else (old.comment if same else None)
    new_answers = dict(given) if given is not None else (old.answers if same else {})
    if same and not stronger and (new_comment, new_answers) == (old.comment, old.answers):
        return old
    return Answer(
        score=score,
        comment=new_comment,
        answers=new_answers,
        channel=channel,
        judged="human" if same and old.judged == "human" else judged,
        submitted_at=at if stronger else old.submitted_at,
        scored_at=old.scored_at if same and not stronger else at,
        changed_at=at,
        version=old.version + 1,
        worked_version=old.worked_version,
    )


def _counts(old: Answer | None, new: Answer, at: dt.datetime) -> bool:
    if old is None or (new.judged == "human" and old.judged == "provisional"):
        return True
    if old.judged == "human" and new.judged == "provisional":
        return False
    return new.score == old.score or at - old.submitted_at <= CHANGE_OF_MIND
