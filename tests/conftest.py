"""What every room's tests share: a fresh home, and a time that stands still."""

from __future__ import annotations

import datetime as dt
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings as examples

sys.path.insert(0, str(Path(__file__).resolve().parent / "support"))

import postgres

from closedloop.settings import Settings

# A test is right or wrong, however busy the machine is.
examples.register_profile("untimed", deadline=None)
examples.load_profile("untimed")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def now() -> dt.datetime:
    return dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path / "home", _env_file=None)
    settings.ensure_home()
    return settings


@pytest.fixture
def ledger(settings: Settings):
    from closedloop.ledger import Ledger

    ledger = Ledger.open(settings)
    yield ledger
    ledger.close()


@pytest.fixture
def lake(settings: Settings):
    from closedloop.lake import Lake

    lake = Lake.open(settings)
    yield lake
    lake.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """URL of a fresh cluster's database `postgres`; skips where there is no PostgreSQL."""
    if postgres.programs() is None:
        pytest.skip("PostgreSQL's programs are not on this machine")
    with postgres.cluster() as url:
        yield url


@pytest.fixture(scope="session")
def realdata() -> Path:
    folder = ROOT.parent / "shared" / "realdata"
    if not folder.is_dir():
        pytest.skip("the real input files are not on this machine")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow files first: with two workers, the last minute is then not one worker's alone."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """In CI a skip is a failure: what a test needs must be there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if os.environ.get("CI") == "true" and skipped and exitstatus == 0 and not hasattr(session.config, "workerinput"):
        print(f"\nCI: {len(skipped)} test(s) skipped, which counts as a failure here")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
