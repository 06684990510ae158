"""What the lake knows of one CRM object, and what an export changes in it.

The state of an object is the newest version of each Id by the time of its export. A full export adds the rows that
differ from it and a deletion row for each record that is gone; a delta adds the rows that differ.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from dataclasses import dataclass

import duckdb

from closedloop.lake import Lake
from closedloop.lake.catalogue import CRM_OBJECTS
from ingestion.sources.sqltext import literal, quoted
from ingestion.sources.transform import Mapped

GONE = "gone"
"""The row hash of a deletion row, unlike any other: a record that comes back is a change."""
NEWEST_LAST = "(_exported_at, coalesce(_ingested_at, timestamp '9999-12-31'))"


@dataclass(frozen=True)
class Step:
    """One export of one object: its number, when it was taken (naive UTC, later than the step before), its file names.

    `deletions`: whether a record that is not in it is gone.
    """

    number: int
    exported_at: dt.datetime
    sources: tuple[str, ...]
    deletions: bool


@dataclass(frozen=True)
class Change:
    """What one export did to one object. `deleted`: deletion rows, those that the file flags itself among them."""

    rows: int = 0
    valid: int = 0
    loaded: int = 0
    deleted: int = 0


class ObjectHistory:
    """The state of one object during an ingest: table `s_<object>`; what is to be appended: table `c_<object>`."""

    def __init__(self, con: duckdb.DuckDBPyConnection, lake: Lake, name: str) -> None:
        self.con, self.lake, self.name = con, lake, name
        self.table = f"crm.{name}"
        self.state, self.changes = f"s_{name}", f"c_{name}"
        self.cut = lake.cut_of(self.table)
        self.pending = False
        self.keys: list[str] = []
        newest = f"arg_max({{'h': _row_hash, 'o': _op, 'e': _exported_at}}, {NEWEST_LAST})"
        con.execute(
            f"create or replace table {self.state} as select Id, n.h as _row_hash, n.o as _op, n.e as _exported_at "
            f"from (select Id, {newest} as n from ({lake.select(self.table, self.cut)}) group by Id)"
        )
        self.known, self.newest = con.execute(f"select count(*), max(_exported_at) from {self.state}").fetchall()[0]

    @property
    def alive(self) -> str:
        """The query of the Ids that exist."""
        return f"select Id from {self.state} where _op = 'upsert'"

    def versions(self) -> str:
        """The query of all versions: the lake's and those to be appended."""
        parts = [self.lake.select(self.table, self.cut)]
        if self.pending:
            parts.append(f"select * from {self.changes}")
        return " union all by name ".join(parts)

    def newest_rows(self) -> str:
        """The query of the rows as they are now."""
        return (
            f"select * from ({self.versions()}) qualify _op = 'upsert' "
            f"and row_number() over (partition by Id order by {NEWEST_LAST} desc) = 1"
        )

    def filled(self, columns: list[str]) -> list[str]:
        """Which of the columns have ever held a value."""
        if not columns or not (self.cut or self.pending):
            return []
        counts = ", ".join(f"count({quoted(column)})" for column in columns)
        row = self.con.execute(f"select {counts} from ({self.versions()}) where _op = 'upsert'").fetchall()[0]
        return [column for column, count in zip(columns, row, strict=True) if count]

    def change(
        self, mapped: Mapped, steps: list[Step], *, max_deletion_share: float
    ) -> tuple[dict[int, Change], dict[int, tuple[int, int]]]:
        """Notes what the exports change as rows to be appended, and moves the state on.

        Returns the changes by export, and of the exports that would delete too much (nothing of them is noted; their
        rows are taken out of the mapped table): how many records they would delete, of how many.
        """
        waiting: dict[int, tuple[int, int]] = {}
        while True:
            self._find_versions(mapped, steps)
            excess = self._excess(steps, max_deletion_share) if any(step.deletions for step in steps) else None
            if excess is None:
                break
            number, gone, alive = excess
            waiting[number] = (gone, alive)
            steps = [step for step in steps if step.number != number]
            self.con.execute(f"delete from {mapped.table} where _export = {number}")
        if not steps:
            return {}, waiting
        self._keep(steps)
        self._note(self._rows(mapped, steps))
        self._move_on(steps)
        counts = {
            number: Change(*found)
            for number, *found in self.con.execute(
                f"""
                with mapped as (
                    select _export, count(*) as rows, count(*) filter (where _fault is null) as valid
                    from {mapped.table} group by 1
                ),
                changed as (
                    select _export, count(_row) as loaded, count(*) filter (where _op = 'delete') as deleted
                    from kept group by 1
                )
                select _export, coalesce(rows, 0), coalesce(valid, 0), coalesce(loaded, 0), coalesce(deleted, 0)
                from mapped full join changed using (_export)
                """
            ).fetchall()
        }
        return {step.number: counts.get(step.number, Change()) for step in steps}, waiting

    def _find_versions(self, mapped: Mapped, steps: list[Step]) -> None:
        """Table `versions`: the state as export -1, the valid rows of each export, and where a record is gone."""
        deleted = quoted("IsDeleted") if "IsDeleted" in mapped.columns else "cast(null as varchar)"
        self.con.execute(
            f"""
            create or replace table versions as
            select _export, Id, {_row_hash(mapped.columns)} as _row_hash, rowid as _row,
                case when lower({deleted}) in ('true', '1') then 'delete' else 'upsert' end as _op
            from {mapped.table} where _fault is null
            union all by name
            select -1 as _export, Id, _row_hash, _op from {self.state}
            """
        )
        full = [step.number for step in steps if step.deletions]
        following = [
            (number, later[0])
            for number in [-1, *(step.number for step in steps)]
            if (later := [other for other in full if other > number])
        ]
        if not following or (self.known == 0 and len(steps) == 1):
            return
        pairs = ", ".join(map(str, following))
        # A record is looked for in the next full export after each time it was seen. A row that waits in quarantine is
        # still in its file: that record is not gone.
        self.con.execute(
            f"""
            insert into versions by name
            with seen as (
                select Id, _export from {mapped.table} where Id is not null
                union all
                select Id, -1 from {self.state}
            ),
            missing as (
                select distinct seen.Id, following.next as _export
                from seen join (values {pairs}) as following (number, next) on following.number = seen._export
                where not exists (
                    select 1 from {mapped.table} as t where t._export = following.next and t.Id = seen.Id)
            )
            select missing.Id, missing._export, '{GONE}' as _row_hash, 'delete' as _op
            from missing asof join versions as v on v.Id = missing.Id and v._export < missing._export
            where v._op = 'upsert'
            """
        )

    def _excess(self, steps: list[Step], share: float) -> tuple[int, int, int] | None:
        """The first export that deletes more than its share: (number, records gone, records there before)."""
        deleting = self.con.execute(
            "select _export, count(*) from versions where _row is null and _export >= 0 group by 1 order by 1"
        ).fetchall()
        for number, gone in deleting:
            alive = self.con.execute(
                f"select count(*) from (select arg_max(_op, _export) as op from versions where _export < {number} "
                "group by Id) where op = 'upsert'"
            ).fetchall()[0][0]
            if gone > alive * share:
                return number, gone, alive
        return None

    def _keep(self, steps: list[Step]) -> None:
        """Table `kept`: the versions that differ from the one before."""
        if self.known == 0 and len(steps) == 1:
            self.con.execute("create or replace table kept as select *, null as _before from versions")
            return
        self.con.execute(
            """
            create or replace table kept as
            select * from (
                select *, lag(_row_hash) over (partition by Id order by _export) as _before from versions
            )
            where _export >= 0 and _row_hash is distinct from _before
            """
        )

    def _rows(self, mapped: Mapped, steps: list[Step]) -> str:
        """The query of the rows to append: changed ones from the files, deletion rows with their last known values."""
        self._list(steps)
        plain = [column for column in mapped.columns if column not in ("SystemModstamp", "IsDeleted")]
        columns = ", ".join(f"m.{quoted(column)}" for column in plain)
        given = {
            name: f"m.{quoted(name)}" if name in mapped.columns else "cast(null as varchar)"
            for name in ("CreatedDate", "SystemModstamp", "IsDeleted")
        }
        # A source without times of change: a record changed when it was made, and later when we saw the change.
        changed_at = (
            f"coalesce({given['SystemModstamp']}, case when k._before is null then {given['CreatedDate']} end, stamp)"
        )
        rows = f"""
            select {columns}, {changed_at} as SystemModstamp, {given["IsDeleted"]} as IsDeleted, k._op, k._row_hash,
                taken_at as _exported_at, file as _source
            from kept as k join {mapped.table} as m on m.rowid = k._row
            join steps on number = k._export and steps.part = m._part
        """
        if not self.con.execute("select 1 from kept where _row is null limit 1").fetchall():
            return rows
        gone = f"""
            with gone as (
                select g.Id, g._export, v._row from kept as g
                asof join versions as v on v.Id = g.Id and v._export < g._export where g._row is null
            ),
            last_values as (
                select {columns}, gone._export from gone join {mapped.table} as m on m.rowid = gone._row
                union all by name
                select n.* exclude (SystemModstamp, IsDeleted, _op, _row_hash, _exported_at, _source, _batch_id,
                    _ingested_at), gone._export
                from gone join ({self.newest_rows()}) as n on n.Id = gone.Id where gone._row is null
            )
            select l.* exclude (_export), stamp as SystemModstamp, 'true' as IsDeleted, 'delete' as _op,
                '{GONE}' as _row_hash, taken_at as _exported_at, file as _source
            from last_values as l join steps on number = l._export and steps.part = 0
        """
        return f"select * from ({rows}) union all by name select * from ({gone})"

    def _list(self, steps: list[Step]) -> None:
        """Table `steps`: one row per export and part."""
        rows = ", ".join(
            f"({step.number}, {part}, timestamp '{step.exported_at:%Y-%m-%d %H:%M:%S.%f}', "
            f"{literal(_stamp(step.exported_at))}, {literal(file)})"
            for step in steps
            for part, file in enumerate(step.sources)
        )
        self.con.execute(
            f"create or replace table steps as from (values {rows}) as s (number, part, taken_at, stamp, file)"
        )

    def _note(self, query: str) -> None:
        if not self.con.execute("select 1 from kept limit 1").fetchall():
            return
        if not self.pending:
            self.con.execute(f"create or replace table {self.changes} as {query}")
            self.pending = True
            return
        known = {row[0].casefold() for row in self.con.execute(f"describe {self.changes}").fetchall()}
        for column, kind, *_ in self.con.execute(f"describe {query}").fetchall():
            if column.casefold() not in known:
                self.con.execute(f"alter table {self.changes} add column {quoted(column)} {kind}")
        self.con.execute(f"insert into {self.changes} by name {query}")

    def _move_on(self, steps: list[Step]) -> None:
        if self.known:
            self.con.execute(f"delete from {self.state} where Id in (select Id from kept)")
        self.con.execute(
            f"insert into {self.state} select Id, arg_max(_row_hash, _export), arg_max(_op, _export), max(taken_at) "
            "from kept join steps on number = _export and part = 0 group by Id"
        )
        self.known = self.con.execute(f"select count(*) from {self.state}").fetchall()[0][0]
        self.newest = steps[-1].exported_at

    def append(self, *, now: dt.datetime) -> int:
        """Brings the noted rows to the lake in one commit. Raises Busy when somebody else changed the object since."""
        if not self.pending:
            return 0
        rows = self.con.execute(f"select * from {self.changes}").to_arrow_table()
        self.con.execute(f"drop table {self.changes}")
        base = self.cut.get(self.table)
        batch = hashlib.sha256("|".join([self.name, str(base), *self.keys]).encode()).hexdigest()[:32]
        return self.lake.append(self.table, rows, batch_id=f"crm-{batch}", ingested_at=now, source="crm", base=base)


def empty_rows(name: str) -> str:
    """A query without rows that has all canonical columns of an object."""
    columns = ", ".join(f"cast(null as varchar) as {quoted(column)}" for column in CRM_OBJECTS[name])
    return f"select {columns} where false"


def _stamp(at: dt.datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def _row_hash(columns: tuple[str, ...]) -> str:
    """MD5 over name and value of the columns that are filled: a new column that is empty changes nothing."""
    filled = ", ".join(f"{literal(column + '=')} || {quoted(column)}" for column in sorted(columns))
    return f"md5(concat_ws(chr(31), {filled}))"
