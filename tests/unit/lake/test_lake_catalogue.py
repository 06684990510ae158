"""The catalogue says what the contracts say."""

from __future__ import annotations

import pytest
from sqlalchemy import BigInteger, Integer

from closedloop.lake.catalogue import ARRIVAL, CATALOGUE, CRM_FILES, CRM_OBJECTS
from closedloop.ledger import schema


@pytest.mark.parametrize("name", ["evaluations", "decisions", "events", "publications"])
def test_ledger_tables_have_the_columns_of_the_ledger(name: str) -> None:
    expected = {
        column.name: "timestamp"
        if isinstance(column.type, schema.UtcTime)
        else "bigint"
        if isinstance(column.type, BigInteger | Integer)
        else "text"
        for column in schema.metadata.tables[name].columns
        if column.name not in schema.BOOKKEEPING
    }
    assert CATALOGUE[f"ledger.{name}"].columns == expected | ARRIVAL


def test_every_crm_file_has_a_table_with_the_keys() -> None:
    assert set(CRM_FILES.values()) == set(CRM_OBJECTS)
    for name, columns in CRM_OBJECTS.items():
        assert columns[:4] == ("Id", "CreatedDate", "SystemModstamp", "IsDeleted")
        assert len({column.lower() for column in columns}) == len(columns)
        assert CATALOGUE[f"crm.{name}"].view == f"crm_{name}"


def test_views_are_named_once() -> None:
    assert len({table.view for table in CATALOGUE.values()}) == len(CATALOGUE)
