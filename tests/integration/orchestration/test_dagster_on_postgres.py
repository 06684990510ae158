"""With the shared engine Dagster keeps its runs in PostgreSQL, in a schema of its own beside the ledger."""

from __future__ import annotations

from pathlib import Path

import pytest
from dagster import DagsterRunStatus, job, op
from postgres import new_database
from sqlalchemy import create_engine, text

from closedloop.ledger import Ledger
from closedloop.settings import Settings
from orchestration import dagster_home

pytestmark = [pytest.mark.postgres, pytest.mark.slow]


@op
def nothing() -> None: ...


@job
def idle() -> None:
    nothing()


def test_dagster_and_ledger_share_a_server(
    tmp_path: Path, postgres_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = new_database(postgres_server)
    settings = Settings(home=tmp_path / "home", engine="shared", ledger_url=server, _env_file=None)
    for name in dagster_home.environment(settings):
        monkeypatch.setenv(name, "")
    with Ledger.open(settings):
        pass
    with dagster_home.open_instance(settings) as instance:
        assert idle.execute_in_process(instance=instance).success
        (run,) = instance.get_runs()
        assert run.status == DagsterRunStatus.SUCCESS
    engine = create_engine(server)
    with engine.connect() as connection:
        found = connection.execute(text("select schemaname from pg_tables where tablename = 'runs'")).scalars().all()
    engine.dispose()
    assert found == ["dagster"]
    with Ledger.open(settings):  # it still recognises its own tables
        pass
