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
from ingestion.sources.transform import Mapped, literal, quoted

GONE = "gone"
"""The row hash of a deletion row, unlike any other: a record that comes back is a change."""
NEWEST_LAST = "(_exported_at, coalesce(_ingested_at, timestamp '9999-12-31'))"


@dataclass(frozen=True)
class Change:
    """What one export did to one object."""

    rows: int
    loaded: int
    deleted: int


class ObjectHistory:
    """The state of one object during an ingest: table `s_<object>`; what is to be appended: table `c_<object>`."""

    def __init__(self, con: duckdb.DuckDBPyConnection, lake: Lake, name: str) -> None:
        self.con, self.lake, self.name = con, lake, name
        self.table = f"crm.{name}"
        self.state, self.changes = f"s_{name}", f"c_{name}"
        self.cut = lake.cut_of(self.table)
        self.pending = 0
        self.keys: list[str] = []
        if self.cut:
            con.execute(
                f"create or replace table {self.state} as select Id, newest.h as _row_hash, newest.o as _op, "
                f"newest.e as _exported_at from (select Id, "
                f"arg_max({{'h': _row_hash, 'o': _op, 'e': _exported_at}}, {NEWEST_LAST}) as newest "
                f"from ({lake.select(self.table, self.cut)}) group by Id)"
            )
        else:
            con.execute(
                f"create or replace table {self.state} "
                "(Id varchar, _row_hash varchar, _op varchar, _exported_at timestamp)"
            )
        self.newest: dt.datetime | None = con.execute(f"select max(_exported_at) from {self.state}").fetchall()[0][0]

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

    def would_delete(self, mapped: Mapped) -> tuple[int, int]:
        """(records that are not in the file any more, records that exist)."""
        # A row that waits in quarantine is still in the file: its record is not gone.
        return self.con.execute(
            f"select count(*) filter (where not exists (select 1 from {mapped.table} as m where m.Id = s.Id)), count(*) "
            f"from {self.state} as s where _op = 'upsert'"
        ).fetchall()[0]

    def change(self, mapped: Mapped, *, exported_at: dt.datetime, sources: list[str], deletions: bool) -> Change:
        """Notes what differs from the state as rows to be appended, and moves the state on.

        `exported_at`: naive UTC, not before any other export of this object; `sources`: the file name of each part.
        """
        con, at = self.con, f"timestamp '{exported_at:%Y-%m-%d %H:%M:%S.%f}'"
        stamp = f"'{exported_at:%Y-%m-%dT%H:%M:%S}.{exported_at.microsecond // 1000:03d}Z'"
        columns = [column for column in mapped.columns if column != "SystemModstamp"]
        given = {name: quoted(name) if name in mapped.columns else "cast(null as varchar)" for name in
                 ("CreatedDate", "SystemModstamp", "IsDeleted")}  # fmt: skip
        # A source without times of change: a record changed when it was made, and later when we saw the change.
        changed_at = (
            f"coalesce({given['SystemModstamp']}, case when _known then {stamp} "
            f"else coalesce({given['CreatedDate']}, {stamp}) end)"
        )
        part = " ".join(f"when {number} then {literal(source)}" for number, source in enumerate(sources))
        con.execute(
            f"""
            create or replace table diff as
            select {", ".join(map(quoted, columns))}, {changed_at} as SystemModstamp, _op, _row_hash,
                {at} as _exported_at, case _part {part} end as _source
            from (
                select m.*, s.Id is not null as _known,
                    case when lower({given["IsDeleted"]}) in ('true', '1') then 'delete' else 'upsert' end as _op
                from (select *, {_row_hash(mapped.columns)} as _row_hash from {mapped.table} where _fault is null) as m
                left join {self.state} as s on s.Id = m.Id
                where s.Id is null or s._row_hash is distinct from m._row_hash
            )
            """
        )
        rows, valid = con.execute(
            f"select count(*), count(*) filter (where _fault is null) from {mapped.table}"
        ).fetchall()[0]
        loaded, flagged = con.execute("select count(*), count(*) filter (where _op = 'delete') from diff").fetchall()[0]
        assert loaded <= valid
        gone = 0
        if deletions:
            gone = self._note_deletions(mapped, at, stamp, sources[0])
        if loaded:
            self._note("select * from diff")
            con.execute(f"delete from {self.state} where Id in (select Id from diff)")
            con.execute(f"insert into {self.state} select Id, _row_hash, _op, _exported_at from diff")
        self.newest = exported_at
        return Change(rows, loaded, flagged + gone)

    def _note_deletions(self, mapped: Mapped, at: str, stamp: str, source: str) -> int:
        if not self.would_delete(mapped)[0]:
            return 0
        self.con.execute(
            f"create or replace table vanished as select Id from ({self.alive}) as s "
            f"where not exists (select 1 from {mapped.table} as m where m.Id = s.Id)"
        )
        gone = self.con.execute("select count(*) from vanished").fetchall()[0][0]
        # The last known values stay on the deletion row, so that it can be read without its past.
        self.con.execute(
            f"create or replace table vanishing as select * exclude (_batch_id, _ingested_at) replace ("
            f"'true' as IsDeleted, {stamp} as SystemModstamp, 'delete' as _op, '{GONE}' as _row_hash, "
            f"{at} as _exported_at, {literal(source)} as _source) "
            f"from ({self.newest_rows()}) where Id in (select Id from vanished)"
        )
        self._note("select * from vanishing")
        self.con.execute(
            f"update {self.state} set _op = 'delete', _row_hash = '{GONE}', _exported_at = {at} "
            "where Id in (select Id from vanished)"
        )
        return gone

    def _note(self, query: str) -> None:
        if not self.pending:
            self.con.execute(f"create or replace table {self.changes} as {query}")
        else:
            known = {row[0].casefold() for row in self.con.execute(f"describe {self.changes}").fetchall()}
            for column, kind, *_ in self.con.execute(f"describe {query}").fetchall():
                if column.casefold() not in known:
                    self.con.execute(f"alter table {self.changes} add column {quoted(column)} {kind}")
            self.con.execute(f"insert into {self.changes} by name {query}")
        self.pending = self.con.execute(f"select count(*) from {self.changes}").fetchall()[0][0]

    def append(self, *, now: dt.datetime) -> int:
        """Brings the noted rows to the lake in one commit. Raises Busy when somebody else changed the object since."""
        if not self.pending:
            return 0
        rows = self.con.execute(f"select * from {self.changes}").to_arrow_table()
        base = self.cut.get(self.table)
        batch = hashlib.sha256("|".join([self.name, str(base), *self.keys]).encode()).hexdigest()[:32]
        return self.lake.append(self.table, rows, batch_id=f"crm-{batch}", ingested_at=now, source="crm", base=base)


def empty_rows(name: str) -> str:
    """A query without rows that has all canonical columns of an object."""
    columns = ", ".join(f"cast(null as varchar) as {quoted(column)}" for column in CRM_OBJECTS[name])
    return f"select {columns} where false"


def _row_hash(columns: tuple[str, ...]) -> str:
    """MD5 over name and value of the columns that are filled: a new column that is empty changes nothing."""
    filled = ", ".join(f"{literal(column + '=')} || {quoted(column)}" for column in sorted(columns))
    return f"md5(concat_ws(chr(31), {filled}))"
