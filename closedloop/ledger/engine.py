"""Opening the ledger: one SQLAlchemy engine for SQLite and PostgreSQL, durable, with short exclusive writes."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError, OperationalError

from closedloop.errors import BadInput, Busy, Refused
from closedloop.settings import Settings

SCHEMA_VERSION = "0005"
"""The newest migration in `migrations/versions`; a test holds the two together."""

BUSY_SECONDS = 30


class Ledger:
    """What we planned, sent, heard and did. Operations are functions of this package that take it.

    A write is one transaction that has the ledger for itself from its first statement (SQLite: BEGIN IMMEDIATE,
    synchronous FULL): keep it short, and it is on disk when `write()` returns.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._writer = engine.execution_options(sqlite_begin="BEGIN IMMEDIATE")

    @classmethod
    def open(cls, where: Settings | str, *, migrate: bool = True) -> Ledger:
        """The ledger of these settings, or at this SQLAlchemy URL; an empty database gets its tables.

        Raises BadInput when the database cannot be reached, Refused when its schema is not this program's.
        """
        if isinstance(where, Settings):
            if not where.ledger_url:
                where.ensure_home()
            where = where.ledger_database_url
        engine = _engine(_url(where))
        try:
            _ensure_version(engine, migrate=migrate)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One write transaction: committed, and on disk, when the block ends; rolled back when it raises.

        Raises Busy when another writer held the ledger for over 30 seconds.
        """
        with self._writer.begin() as conn:
            yield conn

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view; on SQLite it neither waits for a writer nor holds one up."""
        with self.engine.begin() as conn:
            yield conn

    def close(self) -> None:
        """Give the connections back; the ledger object is not used afterwards."""
        self.engine.dispose()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def serialise(conn: Connection, name: str) -> None:
    """Let one transaction at a time past this point until it ends. SQLite's writers already are alone."""
    if conn.dialect.name == "postgresql":
        conn.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": f"closedloop:{name}"})


def _url(text_: str) -> URL:
    try:
        url = make_url(text_)
    except ArgumentError:
        raise BadInput(
            "not a database address",
            field="CLOSEDLOOP_LEDGER_URL",
            remedy="write postgresql://user:password@host:port/database, or leave it empty for a file in the home",
        ) from None
    if url.drivername == "postgres":
        url = url.set(drivername="postgresql")
    return url


def _engine(url: URL) -> Engine:
    # Parameters hold names, addresses and words of customers: no error's text may repeat them.
    try:
        if url.get_backend_name() != "sqlite":
            return create_engine(url, pool_pre_ping=True, executemany_mode="values_plus_batch", hide_parameters=True)
    except (NoSuchModuleError, ImportError):
        raise BadInput(
            f"no such kind of database: '{url.drivername}'",
            field="CLOSEDLOOP_LEDGER_URL",
            remedy="use sqlite:///... or postgresql://...",
        ) from None
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(dbapi_connection: sqlite3.Connection, _record: object) -> None:
    dbapi_connection.isolation_level = None  # the driver begins nothing by itself: `_begin_sqlite` does
    cursor = dbapi_connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000}")
    _write_ahead(cursor)
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA cache_size = -16384")  # 16 MB: random ids touch pages all over the indexes
    cursor.close()


def _write_ahead(cursor: sqlite3.Cursor) -> None:
    """WAL, which stays with the file. The first switch does not honour the busy timeout, so it waits by itself."""
    for attempt in range(BUSY_SECONDS * 20):
        try:
            if cursor.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
                return
            cursor.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or attempt == BUSY_SECONDS * 20 - 1:
                raise
            time.sleep(0.05)


def _begin_sqlite(conn: Connection) -> None:
    try:
        conn.exec_driver_sql(conn.get_execution_options().get("sqlite_begin", "BEGIN"))
    except OperationalError as error:
        if "locked" not in str(error.orig):
            raise
        raise Busy(
            f"the ledger was held by another process for over {BUSY_SECONDS} seconds\n"
            "  what to do: see what else runs on this home, and try again"
        ) from None


def _ensure_version(engine: Engine, *, migrate: bool) -> None:
    if _version(engine) == SCHEMA_VERSION:
        return
    if not migrate:
        raise Refused(
            "the ledger has no tables yet, or those of an older version\n"
            "  what to do: run any command that writes (such as `closedloop build`), it brings them up to date"
        )
    from closedloop.ledger.migrations import upgrade  # Alembic takes a while to import, and is seldom needed

    upgrade(engine)


def _version(engine: Engine) -> str | None:
    """The schema version in the database, None when it is empty. Raises Refused when it is something else."""
    try:
        with engine.begin() as conn:
            tables = set(inspect(conn).get_table_names()) if engine.dialect.name != "sqlite" else _sqlite_tables(conn)
            if "alembic_version" in tables:
                return conn.execute(text("SELECT version_num FROM alembic_version")).scalar()
    except OperationalError as error:
        shown = engine.url.render_as_string(hide_password=True)
        raise BadInput(
            f"the ledger cannot be opened at {shown} ({_first_line(error)})",
            field="CLOSEDLOOP_LEDGER_URL",
            remedy="see that the server runs and the address is right, or that the file can be written",
        ) from None
    except DatabaseError as error:
        raise Refused(
            f"the ledger is damaged, or no database ({_first_line(error)})\n"
            "  what to do: move the file away and restore a backup"
        ) from None
    from closedloop.ledger.schema import metadata

    if taken := sorted(tables & set(metadata.tables)):  # the lake's catalogue may live beside the ledger
        raise Refused(
            f"this database holds a table '{taken[0]}' of something else, and no ledger\n"
            "  what to do: give the ledger a database (or schema) of its own in CLOSEDLOOP_LEDGER_URL"
        )
    return None


def _sqlite_tables(conn: Connection) -> set[str]:
    return set(conn.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'").scalars())


def _first_line(error: DatabaseError) -> str:
    return str(error.orig).strip().splitlines()[0]
