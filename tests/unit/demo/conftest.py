from __future__ import annotations

import datetime as dt

import pytest

from demo.company import Company, make_company

TODAY = dt.date(2026, 3, 2)


@pytest.fixture(scope="session")
def company(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """A small company with its exports; for reading only."""
    return make_company(tmp_path_factory.mktemp("company"), contacts=200, seed=7, today=TODAY)
