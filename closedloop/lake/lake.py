"""The lake's one door: append a batch, fix a cut, read it through DuckDB views."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import re
import time
from collections.abc import Callable, Mapping
from types import EllipsisType
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa
import pyarrow.compute as pc

from closedloop.clock import as_utc
from closedloop.errors import Busy, Refused
from closedloop.lake.catalogue import CATALOGUE, DUCKDB_TYPE, Kind
from closedloop.lake.files import live_entries, local_path
from closedloop.settings import Settings

if TYPE_CHECKING:
    import duckdb
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.table import Table, Transaction

Cut = dict[str, int]
"""One snapshot id per table, such as {"crm.account": 1234}; a table without rows is absent."""

CATALOG_NAME = "closedloop"
BATCH_PROPERTY = "closedloop.batch-id"
ARROW_TYPE: dict[Kind, pa.DataType] = {
    "text": pa.string(),
    "timestamp": pa.timestamp("us"),
    "bigint": pa.int64(),
}
PROPERTIES = {
    # Conflicts are retried here and not by PyIceberg: each attempt must look again whether the batch is in.
    "commit.retry.num-retries": "0",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "20",
    "write.metadata.previous-versions-max": "10",
    # Whole batch ids in the files' statistics, so that a search for one batch opens one file.
    "write.metadata.metrics.column._batch_id": "full",
}
COLUMN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
"""Other names are written to files in a changed spelling, and DuckDB would not find them."""
ATTEMPTS = 60
Result = TypeVar("Result")


class Lake:
    """An open lake. Several processes may append at once; one object belongs to one thread."""

    def __init__(self, catalog: SqlCatalog) -> None:
        self.catalog = catalog

    @classmethod
    def open(cls, settings: Settings) -> Lake:
        """The lake of a home, made on first use. Raises BadInput when the home cannot be written."""
        from sqlalchemy.exc import DBAPIError

        from closedloop.lake.durable import DurableSqlCatalog

        settings.ensure_home()
        settings.lake_dir.mkdir(exist_ok=True)
        location = settings.lake_dir.resolve()
        shared = settings.engine == "shared"
        url = settings.ledger_database_url if shared else f"sqlite:///{location / 'catalog.sqlite'}?timeout=60"
        for attempts_left in (4, 3, 2, 1, 0):
            try:
                return cls(DurableSqlCatalog(CATALOG_NAME, uri=url, warehouse=location.as_uri()))
            except DBAPIError:
                # Perhaps another process is making the catalog's tables at this moment.
                if not attempts_left:
                    raise
                time.sleep(random.uniform(0.1, 0.4))
        raise AssertionError("unreachable")

    def close(self) -> None:
        self.catalog.close()

    def __enter__(self) -> Lake:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Writing -------------------------------------------------------------------------
    def append(
        self,
        table: str,
        rows: pa.Table,
        *,
        batch_id: str,
        ingested_at: dt.datetime,
        source: str,
        base: int | None | EllipsisType = ...,
    ) -> int:
        """Adds `rows` in one commit and returns how many; 0 when this batch is already in, or is empty.

        Canonical columns take the catalogue's types (times: UTC), all others become text; columns new to the table
        are added to it. With `base` the batch goes onto exactly this snapshot (None: a table without any).
        Raises Busy when the table has moved on from `base`, or other writers win for too long.
        """
        columns = _columns_of(table)
        if rows.num_rows == 0:
            return 0
        rows = _with_arrival(rows, batch_id, as_utc(ingested_at).replace(tzinfo=None), source)

        def attempt() -> int:
            current = self._load(table)
            if current is None:
                with self._create(table, _align(rows, columns).schema) as transaction:
                    return _append(transaction, _align(rows, columns), batch_id)
            if self._has_batch(current, batch_id):
                return 0
            head = current.current_snapshot()
            if base is not ... and (head.snapshot_id if head else None) != base:
                raise Busy(f"the lake table {table} has changed since it was read; run this again")
            known = dict.fromkeys(current.schema().column_names, "text") | columns
            aligned = _align(rows, known)
            with current.transaction() as transaction:
                if set(aligned.column_names) - set(current.schema().column_names):
                    with transaction.update_schema() as update:
                        update.union_by_name(aligned.schema)
                return _append(transaction, aligned, batch_id)

        return self.retried(table, attempt)

    def retried(self, table: str, attempt: Callable[[], Result]) -> Result:
        """Runs `attempt` again as long as another writer of the same table commits first. Raises Busy in the end."""
        from pyiceberg.exceptions import CommitFailedException, TableAlreadyExistsError, ValidationException
        from sqlalchemy.exc import OperationalError

        for number in range(ATTEMPTS):
            try:
                return attempt()
            except (CommitFailedException, TableAlreadyExistsError, ValidationException, OperationalError) as error:
                if isinstance(error, OperationalError) and "locked" not in str(error):
                    raise
                time.sleep(random.uniform(0.01, 0.05) * min(number + 1, 10))
        raise Busy(f"the lake table {table} is written by others all the time; try again later")

    def _create(self, table: str, schema: pa.Schema) -> Transaction:
        from pyiceberg.exceptions import NamespaceAlreadyExistsError
        from sqlalchemy.exc import IntegrityError

        namespace = table.split(".", 1)[0]
        with contextlib.suppress(NamespaceAlreadyExistsError, IntegrityError):
            self.catalog.create_namespace(namespace)
        return self.catalog.create_table_transaction(table, schema, properties=PROPERTIES)

    def has_batch(self, table: str, batch_id: str) -> bool:
        """Whether `append` of this batch is already committed."""
        current = self._load(table)
        return current is not None and self._has_batch(current, batch_id)

    def _has_batch(self, table: Table, batch_id: str) -> bool:
        """Snapshots say which batch they brought; of those that have expired, the rows themselves say it."""
        snapshots = table.metadata.snapshots
        if any(snapshot.summary and snapshot.summary.get(BATCH_PROPERTY) == batch_id for snapshot in snapshots):
            return True
        # Each commit takes the next sequence number: as many snapshots as numbers means that none has expired.
        if len(snapshots) == table.metadata.last_sequence_number:
            return False
        from pyiceberg.expressions import EqualTo

        scan = table.scan(EqualTo("_batch_id", batch_id), selected_fields=("_batch_id",), limit=1)
        return scan.to_arrow().num_rows > 0

    # Reading -------------------------------------------------------------------------
    def cut(self) -> Cut:
        """The current snapshot of each table."""
        return self.cut_of(*self.tables())

    def cut_of(self, *names: str) -> Cut:
        """The current snapshots of these tables only."""
        tables = {name: self._load(name) for name in names}
        heads = {name: table.current_snapshot() for name, table in tables.items() if table is not None}
        return {name: head.snapshot_id for name, head in heads.items() if head is not None}

    def tables(self) -> list[str]:
        """Names of the tables that exist, sorted."""
        return sorted(
            ".".join(identifier)
            for namespace in self.catalog.list_namespaces()
            for identifier in self.catalog.list_tables(namespace)
        )

    def files(self, cut: Mapping[str, int]) -> dict[str, list[str]]:
        """Paths of the data files of each table of the cut, in the order of their arrival."""
        return {name: self._state(name, snapshot_id)[0] for name, snapshot_id in cut.items()}

    def schema(self, table: str) -> pa.Schema:
        """The current columns of a table; the catalogue's where it doesn't exist yet."""
        current = self._load(table)
        if current is not None:
            return current.schema().as_arrow()
        return pa.schema([(name, ARROW_TYPE[kind]) for name, kind in _columns_of(table).items()])

    def create_views(self, con: duckdb.DuckDBPyConnection, cut: Mapping[str, int]) -> None:
        """One view `lake.<namespace>_<table>` per table of the catalogue, at the cut; those without rows are empty.

        All canonical columns are there with their types, also where no file holds them yet.
        """
        con.execute("create schema if not exists lake")
        for name in sorted({*CATALOGUE, *cut}):
            con.execute(f"create or replace view lake.{name.replace('.', '_', 1)} as {self.select(name, cut)}")

    def select(self, table: str, cut: Mapping[str, int]) -> str:
        """The DuckDB query of one table at the cut, as `create_views` uses it."""
        files, present = self._state(table, cut[table]) if table in cut else ([], [])
        columns = CATALOGUE[table].columns if table in CATALOGUE else {}
        typed = [
            _quoted(name) if name in present else f"cast(null as {DUCKDB_TYPE[kind]}) as {_quoted(name)}"
            for name, kind in columns.items()
        ]
        extra = [_quoted(name) for name in present if name not in columns]
        selected = ", ".join(typed + extra)
        if not files:
            return f"select {selected} where false"
        paths = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
        return f"select {selected} from read_parquet([{paths}], union_by_name = true)"

    def _state(self, name: str, snapshot_id: int) -> tuple[list[str], list[str]]:
        """Data files and column names at a snapshot. Raises Refused when it expired."""
        table = self._load(name)
        snapshot = table.snapshot_by_id(snapshot_id) if table is not None else None
        if table is None or snapshot is None:
            raise Refused(f"the lake no longer holds snapshot {snapshot_id} of {name}: it has expired")
        entries = sorted(live_entries(table, snapshot_id), key=lambda entry: entry.sequence_number or 0)
        schema = table.schemas()[snapshot.schema_id] if snapshot.schema_id is not None else table.schema()
        return [local_path(entry.data_file.file_path) for entry in entries], schema.column_names

    def _load(self, name: str) -> Table | None:
        from pyiceberg.exceptions import NoSuchTableError

        try:
            return self.catalog.load_table(name)
        except NoSuchTableError:
            return None

    # Upkeep --------------------------------------------------------------------------
    def compact(self, table: str, *, min_files: int = 8) -> int:
        """Rewrites the small files of a table into few; returns how many files it replaced."""
        from closedloop.lake.maintenance import compact

        return compact(self, table, min_files=min_files)

    def expire(self, keep: set[int]) -> int:
        """Drops all snapshots but the current ones and those in `keep`; returns how many."""
        from closedloop.lake.maintenance import expire

        return expire(self, keep)

    def remove_unreferenced(self, *, before: dt.datetime) -> int:
        """Deletes files that no snapshot names and that are older than `before` (wall time); returns how many."""
        from closedloop.lake.maintenance import remove_unreferenced

        return remove_unreferenced(self, before=before)


def _columns_of(table: str) -> dict[str, Kind]:
    if table not in CATALOGUE:
        raise ValueError(f"{table} is not a table of the lake's catalogue")
    return CATALOGUE[table].columns


def _append(transaction: Transaction, rows: pa.Table, batch_id: str) -> int:
    transaction.append(rows, snapshot_properties={BATCH_PROPERTY: batch_id})
    return rows.num_rows


def _with_arrival(rows: pa.Table, batch_id: str, ingested_at: dt.datetime, source: str) -> pa.Table:
    """Adds the columns of ARRIVAL; a `_source` that the rows bring per row stands."""
    count = rows.num_rows
    arrival = {
        "_batch_id": pa.repeat(pa.scalar(batch_id), count),
        "_ingested_at": pa.repeat(pa.scalar(ingested_at, pa.timestamp("us")), count),
        "_source": pa.repeat(pa.scalar(source), count),
    }
    for name, values in arrival.items():
        if name not in rows.column_names:
            rows = rows.append_column(name, values)
        elif name != "_source":
            raise ValueError(f"{name} is set by the lake, not by its callers")
    return rows


def _align(rows: pa.Table, known: Mapping[str, Kind]) -> pa.Table:
    """The rows with all known columns, in their order and types, then the others as text.

    Spelling follows the table: `name` goes to its column `Name`, for the engines that read the lake ignore case.
    """
    spelling = {name.lower(): name for name in known}
    names = [spelling.get(name.lower(), name) for name in rows.column_names]
    if len({name.lower() for name in names}) < len(names):
        raise ValueError("two columns have the same name but for upper and lower case")
    given = dict(zip(names, rows.columns, strict=True))
    for name in names:
        if not COLUMN_NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot name a column of the lake: only letters, digits and _ can")
    order = [*known, *(name for name in names if name not in known)]
    arrays = [
        _typed(given[name], known.get(name, "text"))
        if name in given
        else pa.nulls(rows.num_rows, ARROW_TYPE[known[name]])
        for name in order
    ]
    return pa.table(arrays, names=order)


def _typed(values: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    if kind == "timestamp" and pa.types.is_timestamp(values.type) and values.type.tz:
        # Arrow keeps aware times as UTC underneath: dropping the zone leaves UTC.
        values = pc.cast(values, pa.timestamp("us", "UTC"))
    return pc.cast(values, ARROW_TYPE[kind])


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
