"""The ledger's way into the lake, in batches that are the same after a crash.

A batch is stamped on rows that have none, in one ledger transaction, and then appended to the lake under its number;
the lake takes a number once. A batch that is stamped and not yet noted as written is appended first at the next run.

Rows are found by `export_batch IS NULL` among what is committed, never by "all above the last number": on PostgreSQL a
sequence number can become visible after a higher one, and such a row is simply taken by the next batch.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Integer, Table, insert, select, update

from closedloop.ledger.engine import Ledger, serialise
from closedloop.ledger.schema import SEQUENCE, UtcTime, decisions, evaluations, events, exports, publications

if TYPE_CHECKING:
    import pyarrow as pa

    from closedloop.lake import Lake

TABLES = (evaluations, decisions, events, publications)
BATCH_ROWS = 50_000
"""Stamping this many holds a writer up for a fraction of a second, and is little memory."""


def export(ledger: Ledger, lake: Lake, *, now: dt.datetime, batch_rows: int = BATCH_ROWS) -> dict[str, int]:
    """Append all rows that the lake does not have; `now` becomes their `_ingested_at`. Returns rows by table.

    Staged decisions wait until they are sealed. Memory holds one batch. Two exports at once do the same work twice
    and the lake takes it once.
    """
    written = {table.name: 0 for table in TABLES}
    for batch, name in _unwritten(ledger):
        written[name] += _write(ledger, lake, batch, name, now)
    for table in TABLES:
        while (batch := _stamp(ledger, table, now, batch_rows)) is not None:
            written[table.name] += _write(ledger, lake, batch, table.name, now)
    return written


def _unwritten(ledger: Ledger) -> list[tuple[int, str]]:
    with ledger.read() as conn:
        rows = conn.execute(
            select(exports.c.batch, exports.c.table_name)
            .where(exports.c.written_at.is_(None))
            .order_by(exports.c.batch)
        )
        return [(batch, name) for batch, name in rows]


def _stamp(ledger: Ledger, table: Table, now: dt.datetime, limit: int) -> int | None:
    key = next(iter(table.primary_key.columns))
    some = select(key).where(table.c.export_batch.is_(None)).limit(limit)
    some = (
        some.order_by(key)
        if table is not decisions
        else some.where(decisions.c.evaluation_id.in_(select(evaluations.c.evaluation_id)))
    )
    with ledger.read() as conn:
        if conn.execute(some.limit(1)).first() is None:
            return None
    with ledger.write() as conn:
        serialise(conn, "export")
        row = {"table_name": table.name, "row_count": 0, "stamped_at": now}
        batch = conn.execute(insert(exports).returning(exports.c.batch), row).scalar_one()
        stamped = conn.execute(update(table).where(key.in_(some)).values(export_batch=batch)).rowcount
        conn.execute(update(exports).where(exports.c.batch == batch).values(row_count=stamped))
    return batch


def _write(ledger: Ledger, lake: Lake, batch: int, name: str, now: dt.datetime) -> int:
    table = next(table for table in TABLES if table.name == name)
    rows = _read(ledger, table, batch)
    if rows.num_rows:
        lake.append(f"ledger.{name}", rows, batch_id=f"ledger-{batch:08d}", ingested_at=now, source="ledger")
    with ledger.write() as conn:
        conn.execute(update(exports).where(exports.c.batch == batch).values(written_at=now))
    return rows.num_rows


def _read(ledger: Ledger, table: Table, batch: int) -> pa.Table:
    """The rows of a batch in the ledger's order, typed as the lake's catalogue has them."""
    import pyarrow as pa

    columns = [column for column in table.c if column.name != "export_batch"]
    key = next(iter(table.primary_key.columns))
    found = select(*columns).where(table.c.export_batch == batch).order_by(key)
    with ledger.read() as conn:
        rows = conn.execute(found).all()
    by_column = zip(*rows, strict=True) if rows else ((),) * len(columns)
    return pa.table(
        {
            column.name: pa.array(values, type=_arrow(column.type))
            for column, values in zip(columns, by_column, strict=True)
        }
    )


def _arrow(kind: Any) -> pa.DataType:
    import pyarrow as pa

    if isinstance(kind, UtcTime):
        return pa.timestamp("us")
    return pa.int64() if kind is SEQUENCE or isinstance(kind, (Integer, BigInteger)) else pa.string()
