"""Decisions become facts: stage in chunks, seal in one short transaction, withdraw what may no longer be sent."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from closedloop.errors import Refused
from closedloop.ledger.engine import Ledger, serialise
from closedloop.ledger.messages import ABOUT, suppress_messages, visible
from closedloop.ledger.rows import Row, chunks, prepare_decisions, prepare_messages
from closedloop.ledger.schema import decisions, evaluations, messages, publications, stagings

GENESIS = "genesis"
"""What the first evaluation stands on."""

_TAKEN = (
    "another evaluation was sealed since this build began\n  what to do: build again, then seal the new publication"
)
_CROSSED = (
    "another builder staged or sealed the same candidates\n  what to do: build again, then seal the new publication"
)


@dataclass(frozen=True)
class Sealed:
    """What an evaluation decided."""

    evaluation_id: str
    asks: int
    skips: int


def last_evaluation(ledger: Ledger) -> str:
    """The newest sealed evaluation, on which a build stands; 'genesis' when there is none."""
    with ledger.read() as conn:
        return tip(conn)


def tip(conn: Connection) -> str:
    """The end of the chain of evaluations."""
    later = evaluations.alias()
    found = conn.execute(
        select(evaluations.c.evaluation_id).where(
            ~select(later).where(later.c.predecessor_id == evaluations.c.evaluation_id).exists()
        )
    ).scalar()
    return found or GENESIS


def stage(
    ledger: Ledger, evaluation_id: str, decisions: Iterable[Row], messages: Iterable[Row], *, chunk: int = 1000
) -> None:
    """Load the rows of an evaluation, not yet visible, in many short transactions so that no answer waits.

    First removes what was staged before and never sealed: of two processes that stage, the later one goes on and the
    other is refused at its next step. Raises Refused then, and when this evaluation is sealed already.
    """
    token = _begin(ledger, evaluation_id, chunk)
    try:
        prepared = chain(
            (prepare_decisions(evaluation_id, rows) for rows in chunks(decisions, chunk)),
            (prepare_messages(rows, evaluation_id=evaluation_id) for rows in chunks(messages, chunk)),
        )
        for rows in prepared:
            with ledger.write() as conn:
                _still_ours(conn, evaluation_id, token)
                rows.insert(conn)
    except IntegrityError as error:
        raise Refused(_CROSSED) from error


def seal(
    ledger: Ledger,
    *,
    evaluation_id: str,
    predecessor_id: str,
    publication_id: str,
    as_of: dt.datetime,
    known_at: dt.datetime,
    definitions_hash: str,
    asks: int,
    skips: int,
    now: dt.datetime,
) -> Sealed:
    """Make the staged asks and skips facts: from here the sender sees the messages.

    Raises Refused when `publication_id` is not recorded as published, when another evaluation took the predecessor,
    or when what is staged is not exactly `asks` asks, each with its message, and `skips` skips.
    """
    with ledger.write() as conn:
        serialise(conn, "seal")
        known = select(publications.c.build_id).where(publications.c.publication_id == publication_id)
        if conn.execute(known).first() is None:
            raise Refused(f"'{publication_id}' is not published\n  what to do: run `closedloop build` first")
        return add_evaluation(
            conn,
            {
                "evaluation_id": evaluation_id,
                "predecessor_id": predecessor_id,
                "publication_id": publication_id,
                "as_of": as_of,
                "known_at": known_at,
                "definitions_hash": definitions_hash,
                "asks": asks,
                "skips": skips,
                "sealed_at": now,
            },
        )


def add_evaluation(conn: Connection, row: Mapping[str, Any]) -> Sealed:
    """The sealing itself, on an open transaction: next in the chain, complete, visible from its commit on."""
    evaluation_id = row["evaluation_id"]
    _not_sealed(conn, evaluation_id)
    if tip(conn) != row["predecessor_id"]:
        raise Refused(_TAKEN)
    if _token(conn, evaluation_id) == _VOID:
        raise Refused(_CROSSED)
    staged = dict(
        conn.execute(
            select(decisions.c.decision, func.count())
            .where(decisions.c.evaluation_id == evaluation_id)
            .group_by(decisions.c.decision)
        )
        .tuples()
        .all()
    )
    loaded = conn.execute(
        select(func.count()).where(messages.c.evaluation_id == evaluation_id, messages.c.kind == "invitation")
    ).scalar_one()
    found = (staged.get("ask", 0), staged.get("skip", 0), loaded)
    if found != (row["asks"], row["skips"], row["asks"]):
        raise Refused(
            f"evaluation {evaluation_id} is not staged completely: {found[0]} of {row['asks']} asks with {found[2]} "
            f"messages, {found[1]} of {row['skips']} skips\n  what to do: seal the publication again"
        )
    conn.execute(delete(stagings).where(stagings.c.evaluation_id == evaluation_id))
    try:
        conn.execute(insert(evaluations), dict(row))
    except IntegrityError as error:
        raise Refused(_TAKEN) from error
    return Sealed(evaluation_id, row["asks"], row["skips"])


def discard(ledger: Ledger, evaluation_id: str, *, chunk: int = 1000) -> None:
    """Remove what an evaluation staged. Raises Refused when it is sealed: facts stay."""
    with ledger.write() as conn:
        _not_sealed(conn, evaluation_id)
        conn.execute(update(stagings).where(stagings.c.evaluation_id == evaluation_id).values(token=_VOID))
    _remove(ledger, evaluation_id, chunk)
    with ledger.write() as conn:
        conn.execute(delete(stagings).where(stagings.c.evaluation_id == evaluation_id, stagings.c.token == _VOID))


def withdraw(ledger: Ledger, reason_of: Mapping[str, str], *, now: dt.datetime, chunk: int = 1000) -> int:
    """Suppress what is pending of the invitations named (invitation id to reason), the invitation itself or a reminder;
    returns how many messages."""
    if not reason_of:
        return 0
    pending = (messages.c.state == "pending") & messages.c.kind.in_(["invitation", "reminder"]) & visible()
    with ledger.read() as conn:
        waiting = conn.execute(select(messages.c.message_id, messages.c.invitation_id).where(pending))
        ids = [message_id for message_id, invitation_id in waiting if invitation_id in reason_of]
    withdrawn = 0
    for some in chunks(ids, chunk):
        with ledger.write() as conn:
            rows = conn.execute(
                select(*ABOUT).where(pending, messages.c.message_id.in_(some)).with_for_update()
            ).mappings()
            withdrawn += suppress_messages(conn, [(row, reason_of[row["invitation_id"]]) for row in rows], now=now)
    return withdrawn


_VOID = ""


def _begin(ledger: Ledger, evaluation_id: str, chunk: int) -> str:
    """Make this process the one that stages; what others left is removed. Returns its token."""
    token = uuid.uuid4().hex
    with ledger.write() as conn:
        serialise(conn, "stage")
        _not_sealed(conn, evaluation_id)
        conn.execute(update(stagings).values(token=_VOID))
        conn.execute(delete(stagings).where(stagings.c.evaluation_id == evaluation_id))
        conn.execute(insert(stagings), {"evaluation_id": evaluation_id, "token": token})
        leftovers = conn.scalars(select(stagings.c.evaluation_id).where(stagings.c.token == _VOID)).all()
    for other in leftovers:
        discard(ledger, other, chunk=chunk)
    _remove(ledger, evaluation_id, chunk)
    return token


def _still_ours(conn: Connection, evaluation_id: str, token: str) -> None:
    if _token(conn, evaluation_id) != token:
        _not_sealed(conn, evaluation_id)
        raise Refused(_CROSSED)


def _token(conn: Connection, evaluation_id: str) -> str:
    found = select(stagings.c.token).where(stagings.c.evaluation_id == evaluation_id).with_for_update()
    return conn.execute(found).scalar() or _VOID


def _not_sealed(conn: Connection, evaluation_id: str) -> None:
    if conn.execute(select(evaluations).where(evaluations.c.evaluation_id == evaluation_id)).first():
        raise Refused(f"evaluation {evaluation_id} is sealed already; its decisions stand")


def _remove(ledger: Ledger, evaluation_id: str, chunk: int) -> None:
    for table in (messages, decisions):
        key = next(iter(table.primary_key.columns))
        some = select(key).where(table.c.evaluation_id == evaluation_id).limit(chunk)
        removed = 1
        while removed:
            with ledger.write() as conn:
                _token(conn, evaluation_id)  # held, so that no seal can count rows while they go
                _not_sealed(conn, evaluation_id)
                removed = conn.execute(delete(table).where(key.in_(some))).rowcount
