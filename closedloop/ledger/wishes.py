"""What a person wants to get, by address: which surveys, how often at most, or none at all.

All functions take an open transaction. Wishes stand in `preferences`, an unsubscribe among the suppressions; the history of
both is in `events`, which the models read.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from closedloop.errors import BadInput
from closedloop.ledger.engine import serialise
from closedloop.ledger.rows import add_events
from closedloop.ledger.schema import preferences, suppressions

ALL = "all"
OFTEN = (None, 90, 180, 365)
"""What one may choose as days between two surveys; None: as they come."""
OWN = "unsubscribed"
"""The reason of a suppression that its person may lift."""


@dataclass(frozen=True)
class Wishes:
    """What stands for one address."""

    unwanted: frozenset[str] = frozenset()
    at_most_every_days: int | None = None
    suppressed_for: str | None = None
    """Why the address gets nothing at all, as `lists.REASONS` names it; None when it does."""

    @property
    def is_blocked(self) -> bool:
        """Whether the address gets nothing, and its owner cannot change that here."""
        return self.suppressed_for not in (None, OWN)


def wishes_of(conn: Connection, person_key: str) -> Wishes:
    """What this address wants; without a wish, everything."""
    rows = conn.execute(
        select(preferences.c.survey_id, preferences.c.wanted, preferences.c.at_most_every_days).where(
            preferences.c.person_key == person_key
        )
    ).all()
    return Wishes(
        unwanted=frozenset(row.survey_id for row in rows if not row.wanted),
        at_most_every_days=next((row.at_most_every_days for row in rows if row.survey_id == ALL), None),
        suppressed_for=conn.scalar(select(suppressions.c.reason).where(suppressions.c.person_key == person_key)),
    )


def wish(
    conn: Connection,
    person_key: str,
    *,
    surveys: Collection[str],
    wanted: Collection[str],
    at_most_every_days: int | None,
    at: dt.datetime,
    now: dt.datetime,
) -> int:
    """Keep which of `surveys` (those that were shown) are wanted, and how often; returns how many choices are new.

    The same again writes nothing. Raises BadInput for a number of days that cannot be chosen.
    """
    if at_most_every_days not in OFTEN:
        raise BadInput("no such choice of days", field="at_most_every_days")
    serialise(conn, "suppressions")
    before = wishes_of(conn, person_key)
    changes: list[tuple[str, bool, int | None]] = [
        (survey_id, survey_id in wanted, None)
        for survey_id in sorted(surveys)
        if (survey_id in wanted) == (survey_id in before.unwanted)
    ]
    if at_most_every_days != before.at_most_every_days:
        changes.append((ALL, True, at_most_every_days))
    for survey_id, is_wanted, days in changes:
        row = {"wanted": is_wanted, "at_most_every_days": days, "since": now}
        this = (preferences.c.person_key == person_key) & (preferences.c.survey_id == survey_id)
        if not conn.execute(update(preferences).where(this).values(**row)).rowcount:
            conn.execute(insert(preferences), {"person_key": person_key, "survey_id": survey_id, **row})
        chosen = {"survey_id": survey_id, "wanted": is_wanted, "at_most_every_days": days}
        add_events(conn, [_event("preferred", at, now, person_key=person_key, **chosen)])
    return len(changes)


def subscribe_again(conn: Connection, person_key: str, *, at: dt.datetime, now: dt.datetime) -> bool:
    """Take back the person's own unsubscribe. False when there is none; what bounced, complained or was listed stays."""
    serialise(conn, "suppressions")
    this = (suppressions.c.person_key == person_key) & (suppressions.c.reason == OWN)
    if not conn.execute(delete(suppressions).where(this)).rowcount:
        return False
    add_events(conn, [_event("resubscribed", at, now, person_key=person_key)])
    return True


def _event(kind: str, at: dt.datetime, now: dt.datetime, **payload: object) -> dict[str, object]:
    return {"kind": kind, "occurred_at": at, "recorded_at": now, "payload": payload}
