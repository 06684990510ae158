"""What `closedloop export` writes for people holds no formula; what it writes for programs is what stands in the marts."""

from __future__ import annotations

import csv

import duckdb
import pytest

from orchestration.reports import export_mart
from tests.support.hostile import FORMULAS, NO_FORMULAS, SCRIPTS
from tests.support.published_marts import publish

SAFE = [*NO_FORMULAS, *(text for text in SCRIPTS.values() if text[0] != "-"), 'two\nlines, "quoted"; =1']
WORDS = [*FORMULAS.values(), *SAFE]


@pytest.fixture
def exported(settings, tmp_path):
    """Publishes the words as verbatims and names, and gives the rows of a mart's file."""
    link = publish(settings.home, answers=False)
    with duckdb.connect(str(link.resolve())) as con:
        con.executemany(
            "insert into marts.fct_responses by name select ? as response_id, ? as comment, 3 as score",
            enumerate(WORDS),
        )
        con.executemany(
            "insert into marts.dim_contacts by name select ? as contact_id, ? as first_name", enumerate(WORDS)
        )

    def rows(mart: str, ending: str = "csv"):
        file = tmp_path / f"{mart}.{ending}"
        assert export_mart(settings, mart, file) == len(WORDS)
        if ending == "parquet":
            return duckdb.sql(f"select * from '{file}'").fetchdf().to_dict("records")
        with file.open(newline="") as handle:
            return list(csv.DictReader(handle))

    return rows


@pytest.mark.parametrize(("mart", "column"), [("fct_responses", "comment"), ("dim_contacts", "first_name")])
def test_no_cell_of_a_csv_file_is_a_formula_and_all_else_stays(exported, mart: str, column: str) -> None:
    found = [row[column] for row in exported(mart)]
    assert found == [*(f"'{text}" for text in FORMULAS.values()), *SAFE]


def test_numbers_are_numbers_and_parquet_is_verbatim(exported) -> None:
    assert {row["score"] for row in exported("fct_responses")} == {"3"}
    assert [row["comment"] for row in exported("fct_responses", "parquet")] == WORDS


def test_every_mart_can_be_exported(settings, tmp_path) -> None:
    link = publish(settings.home)
    with duckdb.connect(str(link.resolve()), read_only=True) as con:
        counts = dict(
            con.execute("select table_name, 0 from information_schema.tables where table_schema = 'marts'").fetchall()
        )
        counts |= {mart: con.execute(f"select count(*) from marts.{mart}").fetchone()[0] for mart in counts}
    for mart, rows in counts.items():
        assert export_mart(settings, mart, tmp_path / f"{mart}.csv") == rows
