"""With the shared engine Dagster keeps its runs in PostgreSQL, in a schema of its own beside the ledger."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterRunStatus, job, op
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


@pytest.fixture
def server() -> Iterator[str]:
    """URL of a fresh cluster's database, reached by a socket; skips where there is no PostgreSQL."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        pytest.skip("PostgreSQL's programs are not on this machine")
    folder = Path(tempfile.mkdtemp(prefix="closedloop-pg-"))
    as_user: dict[str, object] = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam("postgres")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def run(program: str, *words: str) -> None:
        command = [str(found[-1].parent / program), "-D", str(folder / "data"), *words]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, **as_user)

    run("initdb", "-U", "postgres", "-A", "trust", "--no-sync")
    run("pg_ctl", "-o", f"-k {folder} -c listen_addresses='' -c fsync=off", "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        run("pg_ctl", "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


def test_dagster_and_ledger_share_a_server(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> None:
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
