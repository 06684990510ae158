"""DuckDB as Great Expectations can use it: read-only files, and transactions that are never begun.

Great Expectations fetches rows after it gave the connection back; SQLAlchemy then rolls back, and with stock duckdb-engine
the result is gone. Nothing is ever written here, so begin, commit and rollback can be nothing at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import duckdb_engine
from sqlalchemy.dialects import registry
from sqlalchemy.types import NullType

_open: list[duckdb.DuckDBPyConnection] = []
_cursors: list[duckdb.DuckDBPyConnection] = []


@contextmanager
def read_only(files: Mapping[str, Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    """One connection that has each file attached read-only under its name; the dialect below hands out its cursors.

    All are closed at the end: one left open would keep a writer out.
    """
    with duckdb.connect(":memory:") as con:
        con.execute("set timezone = 'UTC'")
        for name, path in files.items():
            con.execute(f"attach '{str(path).replace(chr(39), chr(39) * 2)}' as {name} (read_only)")
        _open.append(con)
        try:
            yield con
        finally:
            _open.remove(con)
            while _cursors:
                _cursors.pop().close()


def connection_string(name: str) -> str:
    """What SQLAlchemy opens to stand in the attached file `name`."""
    return f"duckdb+gates:///{name}"


class ReadOnlyDialect(duckdb_engine.Dialect):
    """Connects to a file that `read_only` attached."""

    driver = "gates"
    supports_statement_cache = False

    def connect(self, *args: Any, **params: Any) -> Any:
        cursor = _open[-1].cursor()
        _cursors.append(cursor)
        cursor.execute(f"use {params.get('database') or args[0]}")
        return duckdb_engine.ConnectionWrapper(cursor)

    def get_columns(
        self, connection: Any, table_name: str, schema: str | None = None, **_: Any
    ) -> list[dict[str, Any]]:
        """Names and types from DuckDB's own catalogue: the PostgreSQL way of the base class takes ten times as long."""
        found = connection.exec_driver_sql(
            "select column_name, data_type, is_nullable from information_schema.columns "
            "where table_catalog = current_catalog() and table_schema = $1 and table_name = $2 order by ordinal_position",
            (schema, table_name),
        )
        types = self.ischema_names
        return [
            {
                "name": name,
                "type": types.get(kind.split("(")[0].lower(), NullType)(),
                "nullable": null == "YES",
                "default": None,
            }
            for name, kind, null in found
        ]

    def do_begin(self, connection: Any) -> None:
        """Nothing to begin."""

    def do_commit(self, connection: Any) -> None:
        """Nothing to commit."""

    def do_rollback(self, connection: Any) -> None:
        """Nothing to roll back: a rollback would throw away rows that are still to be fetched."""


registry.register("duckdb.gates", __name__, "ReadOnlyDialect")
