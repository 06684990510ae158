"""All that a ledger holds, to be compared."""

from __future__ import annotations

from sqlalchemy import select

from closedloop.ledger import Ledger
from closedloop.ledger.schema import metadata


def rows_of(ledger: Ledger, *, about: str = "") -> dict[str, list[tuple]]:
    """The rows of every table; with `about`, those that name it."""
    with ledger.read() as conn:
        tables = {name: conn.execute(select(table)).all() for name, table in metadata.tables.items()}
    return {name: sorted((tuple(row) for row in rows if about in str(row)), key=str) for name, rows in tables.items()}
