"""Opening: migrated when empty, refused when it is not ours, quick when up to date, durable."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.exc import IntegrityError

from closedloop.errors import BadInput, Refused
from closedloop.ledger import Ledger
from closedloop.ledger.books import books
from closedloop.ledger.engine import SCHEMA_VERSION
from closedloop.ledger.migrations import config
from closedloop.ledger.schema import decisions, exclusions, metadata


def test_an_empty_database_gets_exactly_the_tables_of_the_schema(ledger: Ledger):
    with ledger.read() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []
        assert conn.execute(text("SELECT version_num FROM alembic_version")).scalar() == SCHEMA_VERSION


def test_the_version_constant_is_the_newest_migration():
    assert ScriptDirectory.from_config(config()).get_current_head() == SCHEMA_VERSION


def test_opening_again_is_quick(ledger: Ledger, ledger_url: str):
    took = []
    for _ in range(3):
        began = time.perf_counter()
        Ledger.open(ledger_url).close()
        took.append(time.perf_counter() - began)
    assert min(took) < 0.3


def test_a_newer_schema_is_refused_with_a_remedy(ledger: Ledger, ledger_url: str):
    with ledger.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Refused, match=r"9999(.|\n)*what to do"):
        Ledger.open(ledger_url)


def test_without_migration_an_empty_database_is_refused(ledger_url: str):
    with pytest.raises(Refused, match="what to do"):
        Ledger.open(ledger_url, migrate=False)


def test_another_programs_database_is_refused(ledger_url: str):
    engine = create_engine(ledger_url)
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE events (id integer)"))
    engine.dispose()
    with pytest.raises(Refused, match="table 'events' of something else"):
        Ledger.open(ledger_url)


def test_tables_of_other_names_may_live_beside_it(ledger_url: str):
    engine = create_engine(ledger_url)
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE iceberg_tables (id integer)"))
    engine.dispose()
    Ledger.open(ledger_url).close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path):
    (tmp_path / "ledger.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises((Refused, BadInput)):
        Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}")


@pytest.mark.parametrize("url", ["no url", "oracle9://x/y", "postgresql://nobody:secret@127.0.0.1:1/none"])
def test_a_wrong_address_names_the_setting_and_never_the_password(url: str):
    with pytest.raises(BadInput) as caught:
        Ledger.open(url)
    assert caught.value.field == "CLOSEDLOOP_LEDGER_URL"
    assert "secret" not in str(caught.value)


def test_sqlite_is_set_to_lose_nothing(tmp_path: Path):
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.sqlite'}") as ledger, ledger.read() as conn:
        pragmas = {
            name: conn.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30_000}


def test_a_failed_write_leaves_nothing(ledger: Ledger):
    with pytest.raises(RuntimeError), ledger.write() as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = 'x'"))
        raise RuntimeError
    with ledger.read() as conn:
        assert conn.execute(text("SELECT version_num FROM alembic_version")).scalar() == SCHEMA_VERSION


def _open(url: str) -> None:
    Ledger.open(url).close()


def _count(url: str, times: int) -> None:
    with Ledger.open(url) as ledger:
        for _ in range(times):
            with ledger.write() as conn:
                number = conn.execute(text("SELECT n FROM counter")).scalar_one()
                conn.execute(text("UPDATE counter SET n = :n"), {"n": number + 1})


def _together(target, *arguments, processes: int) -> None:
    context = multiprocessing.get_context("fork")  # starting afresh would only import again, for seconds
    started = [context.Process(target=target, args=arguments) for _ in range(processes)]
    for process in started:
        process.start()
    for process in started:
        process.join(60)
    assert [process.exitcode for process in started] == [0] * processes


@pytest.mark.slow
def test_processes_that_open_a_fresh_ledger_together_all_succeed(ledger_url: str):
    _together(_open, ledger_url, processes=3)


@pytest.mark.slow
def test_sqlite_writers_that_read_first_lose_no_update(tmp_path: Path):
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    with Ledger.open(url) as ledger, ledger.write() as conn:
        conn.execute(text("CREATE TABLE counter (n integer)"))
        conn.execute(text("INSERT INTO counter VALUES (0)"))
    _together(_count, url, 50, processes=3)
    with Ledger.open(url) as ledger, ledger.read() as conn:
        assert conn.execute(text("SELECT n FROM counter")).scalar_one() == 150


def test_an_error_of_the_database_repeats_no_value(ledger: Ledger, now):
    row = {"subject": "contact", "subject_id": "c1", "reason": "Words about Ada", "author": "Olga", "since": now}
    with pytest.raises(IntegrityError) as caught, ledger.write() as conn:
        conn.execute(insert(exclusions), [row, row])
    assert "Words about Ada" not in str(caught.value)


def _older_ledger(url: str) -> None:
    """A ledger as the first release made it, with one sealed decision and its message."""
    engine = create_engine(url)
    settings = config()
    with engine.begin() as conn:
        settings.attributes["connection"] = conn
        command.upgrade(settings, "0001")
        for name, row in OLDER_ROWS.items():
            columns = ", ".join(row)
            marks = ", ".join(f":{column}" for column in row)
            conn.execute(text(f"INSERT INTO {name} ({columns}) VALUES ({marks})"), row)
    engine.dispose()


_TIMES = dict.fromkeys(("as_of", "known_at", "sealed_at"), "2026-03-02 09:00:00.000000")
_ABOUT = {"evaluation_id": "e1", "contact_id": "c1", "survey_id": "post-close", "wave_id": "w1"}
OLDER_ROWS = {
    "evaluations": {
        **_TIMES,
        "evaluation_id": "e1",
        "predecessor_id": "genesis",
        "publication_id": "p1",
        "definitions_hash": "d",
        "asks": 1,
        "skips": 0,
    },
    "decisions": {
        **_ABOUT,
        "candidate_id": "k1",
        "trigger_event": "deal_won",
        "trigger_record_id": "d1",
        "decision": "ask",
        "deciding_rule": "passed",
        "all_failed_rules": "[]",
        **dict.fromkeys(("due_at", "decided_as_of"), "2026-03-02 09:00:00.000000"),
    },
    "messages": {
        **_ABOUT,
        "message_id": "k1",
        "invitation_id": "k1",
        "kind": "invitation",
        "sequence": 0,
        "payload": "{}",
        "planned_at": "2026-03-02 09:00:00.000000",
        "cooldown_days": 0,
        "state": "pending",
        "attempts": 0,
    },
}


def test_a_ledger_of_the_first_release_is_brought_up_to_date_when_it_is_opened(ledger_url: str):
    _older_ledger(ledger_url)
    with pytest.raises(Refused, match="what to do"):
        Ledger.open(ledger_url, migrate=False)
    with Ledger.open(ledger_url) as ledger:
        with ledger.read() as conn:
            assert compare_metadata(MigrationContext.configure(conn), metadata) == []
            [decision] = conn.execute(select(decisions)).all()
            assert (decision.candidate_id, decision.facts) == ("k1", None)
        assert [(book.planned, book.pending) for book in books(ledger)] == [(1, 1)]
    Ledger.open(ledger_url, migrate=False).close()


@pytest.mark.slow
def test_processes_that_open_a_ledger_of_the_first_release_together_all_succeed(ledger_url: str):
    _older_ledger(ledger_url)
    _together(_open, ledger_url, processes=3)
