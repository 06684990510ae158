"""The shared pieces of SQL do what their names say."""

from __future__ import annotations

import duckdb
import pytest

from ingestion.sources.sqltext import clean, literal, moment, quoted


@pytest.fixture(scope="module")
def con():
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        yield con


def value(con: duckdb.DuckDBPyConnection, expression: str, text: str | None) -> object:
    return con.execute(f"select {expression} from (select cast(? as varchar) as x)", [text]).fetchall()[0][0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "a"),
        (" a b\t", "a b"),
        ("\u00a0a\u00a0", "a"),
        ("a\r\n", "a"),
        ("Ärger ", "Ärger"),
        (" ", None),
        ("", None),
        (None, None),
        ("ein é", "ein é"),
    ],
)
def test_clean(con, text: str | None, expected: str | None) -> None:
    assert value(con, clean("x"), text) == expected


@pytest.mark.parametrize(
    ("formats", "text", "expected"),
    [
        (("iso",), "2026-03-01", "2026-03-01 00:00:00"),
        (("iso",), "2026-03-01T10:00:00-0230", "2026-03-01 12:30:00"),
        (("iso",), "3/1/2026", None),
        (("iso",), "infinity", None),
        (("iso", "%m/%d/%Y"), "3/1/2026", "2026-03-01 00:00:00"),
        (("%m/%d/%Y", "%d/%m/%Y"), "3/1/2026", "2026-03-01 00:00:00"),
        (("%m/%d/%Y", "%d/%m/%Y"), "31/1/2026", "2026-01-31 00:00:00"),
        (("%d.%m.%Y %H:%M",), "1.3.2026 07:08", "2026-03-01 07:08:00"),
    ],
)
def test_moment(con, formats: tuple[str, ...], text: str, expected: str | None) -> None:
    assert value(con, f"cast({moment('x', formats)} as varchar)", text) == expected


def test_names_and_texts_are_quoted(con) -> None:
    name, text = 'a "b"', "it's"
    assert con.execute(f"select {literal(text)} as {quoted(name)}").fetch_arrow_table().to_pydict() == {name: [text]}
