"""The ledger's way into the lake, in batches that are the same after a crash.

A batch number is stamped on rows that have none, some thousand at a time so that no answer waits; then the batch is
closed, and appended to the lake under its number, which the lake takes once. A batch that is not yet noted as written
is closed and appended first at the next run; nothing is stamped with the number of a closed batch.

Rows are found by `export_batch IS NULL` among what is committed, never by "all above the last number": on PostgreSQL a
sequence number can become visible after a higher one, and such a row is simply taken by the next batch.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Integer, Table, func, insert, select, update

from closedloop.ledger.engine import Ledger, serialise
from closedloop.ledger.schema import (
    BOOKKEEPING,
    SEQUENCE,
    UtcTime,
    decisions,
    evaluations,
    events,
    exports,
    publications,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from closedloop.lake import Lake

TABLES = (evaluations, decisions, events, publications)
BATCH_ROWS, STAMP_ROWS = 100_000, 5_000


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
    """Stamp up to `limit` rows; returns the batch's number, None when no row is left without one."""
    key = next(iter(table.primary_key.columns))
    some = select(key).where(table.c.export_batch.is_(None))
    if table is decisions:
        some = some.where(decisions.c.evaluation_id.in_(select(evaluations.c.evaluation_id)))
    else:
        some = some.order_by(key)
    with ledger.read() as conn:
        if conn.execute(some.limit(1)).first() is None:
            return None
    with ledger.write() as conn:
        new = insert(exports).returning(exports.c.batch)
        batch = conn.execute(new, {"table_name": table.name, "stamped_at": now}).scalar_one()
    stamped = step = 0
    while stamped < limit and stamped == step * STAMP_ROWS:
        step += 1
        with ledger.write() as conn:
            serialise(conn, "export")
            if conn.execute(select(exports.c.row_count).where(exports.c.batch == batch)).scalar_one() is not None:
                break  # another export closed it
            few = some.limit(min(STAMP_ROWS, limit - stamped))
            stamped += conn.execute(update(table).where(key.in_(few)).values(export_batch=batch)).rowcount
    return batch


def _write(ledger: Ledger, lake: Lake, batch: int, name: str, now: dt.datetime) -> int:
    table = next(table for table in TABLES if table.name == name)
    with ledger.write() as conn:
        serialise(conn, "export")
        count = select(func.count()).where(table.c.export_batch == batch).scalar_subquery()
        is_open = (exports.c.batch == batch) & exports.c.row_count.is_(None)
        conn.execute(update(exports).where(is_open).values(row_count=count))
        stamped_at = conn.execute(select(exports.c.stamped_at).where(exports.c.batch == batch)).scalar_one()
    rows = _read(ledger, table, batch)
    if rows.num_rows:
        # With its time: another ledger of this lake counts from 1 again, and its rows must not be taken for these.
        batch_id = f"ledger-{batch:08d}-{stamped_at:%Y%m%dT%H%M%S%f}"
        lake.append(f"ledger.{name}", rows, batch_id=batch_id, ingested_at=now, source="ledger")
    with ledger.write() as conn:
        conn.execute(update(exports).where(exports.c.batch == batch).values(written_at=now))
    return rows.num_rows


def _read(ledger: Ledger, table: Table, batch: int) -> pa.Table:
    """The rows of a batch in the ledger's order, typed as the lake's catalogue has them."""
    import pyarrow as pa

    columns = [column for column in table.c if column.name not in BOOKKEEPING]
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
