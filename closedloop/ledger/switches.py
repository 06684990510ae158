"""What an operator has switched off. A switch that nobody touched is on."""

from __future__ import annotations

import datetime as dt
from typing import Any

from sqlalchemy import Connection, insert, select, update

from closedloop.errors import BadInput
from closedloop.ledger.engine import Ledger, serialise
from closedloop.ledger.schema import switches

SENDING = "sending"
"""Off: nothing is handed to any mail server, alerts neither; a run under way stops before its next group."""
SWITCHED_OFF = "sending is switched off"


def turn(ledger: Ledger, name: str, *, on: bool, by: str, reason: str = "", now: dt.datetime) -> bool:
    """Turn a switch on or off; who and why are kept. Returns whether that changed anything. Raises BadInput without a name."""
    if not by.strip():
        raise BadInput("needed to turn a switch", field="by", remedy="say who decides")
    row = {"is_on": on, "changed_by": by, "reason": reason[:200], "changed_at": now}
    with ledger.write() as conn:
        serialise(conn, "switches")
        was_on = is_on(conn, name)
        known = conn.execute(select(switches.c.name).where(switches.c.name == name)).first()
        if known is None:
            conn.execute(insert(switches), {"name": name, **row})
        elif was_on != on:
            conn.execute(update(switches).where(switches.c.name == name).values(**row))
    return was_on != on


def is_on(conn: Connection, name: str) -> bool:
    """Whether a switch is on."""
    found = conn.execute(select(switches.c.is_on).where(switches.c.name == name)).scalar()
    return found is None or bool(found)


def state(ledger: Ledger, name: str) -> dict[str, Any]:
    """A switch with who turned it last, when and why; `changed_by` None: nobody did."""
    with ledger.read() as conn:
        row = conn.execute(select(switches).where(switches.c.name == name)).mappings().first()
    return dict(row) if row else {"name": name, "is_on": True, "changed_by": None, "reason": "", "changed_at": None}
