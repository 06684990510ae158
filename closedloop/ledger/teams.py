"""Who takes the next follow-up of a team, and who is away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from closedloop.errors import BadInput
from closedloop.ledger.engine import Ledger, serialise
from closedloop.ledger.schema import absences, turns


def take_turn(conn: Connection, team: str, members: Sequence[str], *, now: dt.datetime) -> str | None:
    """The member (an address) who takes the next follow-up of `team`, on the books; None when all are away.

    It is the one present who was given the fewest; of several, the first as the team lists them. Who was away keeps the place
    among the others, and who is new begins where the one who was given the fewest stands: nobody has to make up for the time.
    """
    serialise(conn, f"team:{team}")
    keys = [member.lower() for member in members]
    away = absent(conn, keys, now=now)
    present = [key for key in keys if key not in away]
    if not present:
        return None
    taken = dict(
        conn.execute(select(turns.c.member, turns.c.taken).where(turns.c.team == team, turns.c.member.in_(keys)))
        .tuples()
        .all()
    )
    floor = min(taken.values(), default=0)
    stand = {key: taken.get(key, floor) for key in keys}
    chosen = min(present, key=lambda key: (stand[key], keys.index(key)))
    new = {**stand, chosen: stand[chosen] + 1}
    # Who is away keeps up with those who work, so that coming back is no burden; among themselves they stay as they stood.
    risen = min(new[key] for key in present) - stand[chosen]
    for key in keys:
        count = new[key] if key in present else stand[key] + risen
        if key not in taken:
            conn.execute(insert(turns), {"team": team, "member": key, "taken": count})
        elif taken[key] != count:
            conn.execute(update(turns).where(turns.c.team == team, turns.c.member == key).values(taken=count))
    return next(member for member in members if member.lower() == chosen)


def absent(conn: Connection, emails: Iterable[str], *, now: dt.datetime) -> set[str]:
    """Which of these addresses (in lower case) are away at `now`."""
    found = select(absences.c.email).where(
        absences.c.email.in_(sorted({email.lower() for email in emails})),
        absences.c.since <= now,
        absences.c.until > now,
    )
    return set(conn.scalars(found))


def record_absence(
    ledger: Ledger, email: str, *, since: dt.datetime, until: dt.datetime, by: str, now: dt.datetime
) -> None:
    """Someone is away from `since` until `until` (UTC): new follow-ups go to others. Raises BadInput for times that cannot
    be; the same `since` again moves the end."""
    if until <= since:
        raise BadInput("the absence ends before it begins", field="until", remedy="give a later time")
    if "@" not in email:
        raise BadInput(f"'{email}' is no mail address", field="email", remedy="give the address that alerts go to")
    key = {"email": email.strip().lower(), "since": since}
    with ledger.write() as conn:
        conn.execute(delete(absences).where(absences.c.email == key["email"], absences.c.since == since))
        conn.execute(insert(absences), {**key, "until": until, "recorded_by": by, "recorded_at": now})


def end_absence(ledger: Ledger, email: str, *, now: dt.datetime) -> bool:
    """Someone is back: what lasts ends now, what was to come is dropped. False when there was none."""
    key = email.strip().lower()
    with ledger.write() as conn:
        coming = conn.execute(delete(absences).where(absences.c.email == key, absences.c.since >= now)).rowcount
        lasts = (absences.c.email == key) & (absences.c.until > now)
        return bool(conn.execute(update(absences).where(lasts).values(until=now)).rowcount or coming)


def list_absences(ledger: Ledger, *, now: dt.datetime) -> list[dict[str, Any]]:
    """Absences that last or are to come, the next to end first."""
    with ledger.read() as conn:
        rows = conn.execute(select(absences).where(absences.c.until > now).order_by(absences.c.until)).mappings()
        return [dict(row) for row in rows]
