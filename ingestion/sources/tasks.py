"""Tasks of follow-ups that somebody closed in the CRM: a contact that was made there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

import duckdb

from closedloop.lake import Lake
from ingestion.sources.sqltext import quoted

TABLE = "crm.task"


@dataclass(frozen=True)
class ClosedTask:
    """One of our tasks, named by our own key, and when (UTC) and by whom it was closed."""

    key: str
    closed_at: dt.datetime
    owner_id: str | None
    outcome: str | None = None
    """In the CRM's words."""


def closed_tasks(
    lake: Lake, keys: Collection[str], *, key_field: str, outcome_field: str | None = None
) -> list[ClosedTask]:
    """Which of our tasks are closed in the CRM, as its newest rows in the lake say; `key_field` is the column of our key,
    `outcome_field` that of the outcome.

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
        column, outcome = quoted(key_field), "null"
        if outcome_field and outcome_field.lower() in known:
            outcome = f"nullif(trim({quoted(outcome_field)}), '')"
        found = con.execute(
            f"""
            select {column}, coalesce(try_cast(CompletedDateTime as timestamptz), try_cast(SystemModstamp as timestamptz)), OwnerId,
                {outcome}
            from (
                select *, row_number() over (partition by Id order by _exported_at desc, _ingested_at desc) as _age from {rows}
            )
            where _age = 1 and _op <> 'delete' and lower(IsClosed) = 'true' and {column} in (select unnest(?))
            """,
            [list(keys)],
        ).fetchall()
    return [ClosedTask(key, at.astimezone(dt.UTC), owner, said) for key, at, owner, said in found if at is not None]
