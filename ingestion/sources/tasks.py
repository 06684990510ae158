"""Tasks of follow-ups that somebody closed in the CRM: a contact that was made there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

import duckdb

from closedloop.lake import Lake

TABLE = "crm.task"


@dataclass(frozen=True)
class ClosedTask:
    """One of our tasks, named by our own key, and when (UTC) and by whom it was closed."""

    key: str
    closed_at: dt.datetime
    owner_id: str | None


def closed_tasks(lake: Lake, keys: Collection[str], *, key_field: str) -> list[ClosedTask]:
    """Which of our tasks are closed in the CRM, as its newest rows in the lake say; `key_field` is the column of our key.

    Without a time of completion the time of the last change stands for it. Empty where the CRM has no such column.
    """
    cut = lake.cut()
    if not keys or TABLE not in cut:
        return []
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        rows = f"({lake.select(TABLE, cut)})"
        known = {name.lower() for name, *_ in con.execute(f"describe select * from {rows}").fetchall()}
        if key_field.lower() not in known:
            return []
        column = '"' + key_field.replace('"', '""') + '"'
        found = con.execute(
            f"""
            select {column}, coalesce(try_cast(CompletedDateTime as timestamptz), try_cast(SystemModstamp as timestamptz)), OwnerId
            from (
                select *, row_number() over (partition by Id order by _exported_at desc, _ingested_at desc) as _age from {rows}
            )
            where _age = 1 and _op <> 'delete' and lower(IsClosed) = 'true' and {column} in (select unnest(?))
            """,
            [list(keys)],
        ).fetchall()
    return [ClosedTask(key, at.astimezone(dt.UTC), owner) for key, at, owner in found if at is not None]
