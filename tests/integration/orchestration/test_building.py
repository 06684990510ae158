"""Build, publish, seal on a real small company: what readers see is whole, checked, and can be made again."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from closedloop.clock import Clock
from closedloop.errors import Refused
from closedloop.lake import Lake
from closedloop.ledger import Ledger
from closedloop.ledger import builds as ledger_builds
from closedloop.ledger.books import books
from closedloop.programme import load_surveys
from closedloop.settings import REPO, Settings
from demo.company import make_company
from demo.history import write_history
from orchestration import work
from orchestration.build import hold_workshop, release_workshop
from orchestration.publish import publish

pytestmark = pytest.mark.slow

TODAY = dt.date(2026, 3, 2)
MORNING = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Clock, str]:
    """A home with a company, its history, and one publication whose proposals are not sealed yet."""
    settings = Settings(home=tmp_path_factory.mktemp("building") / "home", _env_file=None)
    settings.ensure_home()
    clock = Clock.starting_at(MORNING)
    company = make_company(settings.exports_dir / "demo", contacts=200, seed=3, today=TODAY)
    with Ledger.open(settings) as ledger:
        write_history(ledger, company, load_surveys(settings.surveys), today=TODAY, seed=3)
    work.ingest_crm(settings, settings.exports_dir / "demo", now=clock.now())
    return settings, clock, work.build(settings, now=clock.now)


def marts_of(file: Path) -> dict[str, list[tuple]]:
    """Every mart but the audit, as sorted rows."""
    with duckdb.connect(str(file.resolve()), read_only=True) as con:
        names = [
            name
            for (name,) in con.execute(
                "select table_name from information_schema.tables where table_schema = 'marts' order by 1"
            ).fetchall()
        ]
        return {
            name: sorted(con.execute(f"select * from marts.{name}").fetchall(), key=repr)
            for name in names
            if name != "publication_audit"
        }


def test_a_deleted_warehouse_builds_again_row_for_row(played: tuple[Settings, Clock, str]) -> None:
    settings, clock, first = played
    before = marts_of(settings.marts_file)
    assert before["fct_responses"]
    settings.warehouse_file.unlink()
    # Upkeep in between must not take what a publication stands on.
    work.tidy(settings, wall_time=dt.datetime.now(dt.UTC) + dt.timedelta(hours=2))
    again = work.build(settings, now=clock.now, like=first)
    assert again != first
    assert marts_of(settings.marts_file) == before


def test_a_past_day_builds_again_after_more_data_came(played: tuple[Settings, Clock, str]) -> None:
    settings, clock, first = played
    before = marts_of(settings.published_dir / f"marts-{first}.duckdb")
    with Ledger.open(settings) as ledger:
        then = ledger_builds.get_publication(ledger, first)
    assert then is not None
    responses = settings.home / "late.csv"
    responses.write_text(
        "external_id,survey,survey_type,contact_id,contact_email,account_id,score,comment,channel,submitted_at\n"
        "late-1,other,relationship,,a@late.example,,3,,email,2025-11-01T10:00:00Z\n"
    )
    work.ingest_responses(settings, responses, now=clock.now())
    newer = work.build(settings, now=clock.now)
    sealed = work.seal(settings, newer, now=clock.now())
    assert sealed.asks > 0
    assert len(marts_of(settings.marts_file)["fct_responses"]) == len(before["fct_responses"]) + 1
    work.build(settings, now=clock.now, as_of=then["as_of"], known_at=then["known_at"])
    assert marts_of(settings.marts_file) == before
    with pytest.raises(Refused):  # what it proposes was decided meanwhile
        work.seal(settings, now=clock.now())
    assert all(book.balanced for book in books_of(settings))


def books_of(settings: Settings):
    with Ledger.open(settings) as ledger:
        return books(ledger)


def test_of_two_seals_on_one_history_one_wins(played: tuple[Settings, Clock, str]) -> None:
    settings, clock, _ = played
    publication = work.build(settings, now=clock.now)
    asked = sum(book.planned for book in books_of(settings))
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        results = pool.starmap(_try_seal, [(str(settings.home), publication, clock.now())] * 2)
    assert sorted(results) == [False, True]
    assert sum(book.planned for book in books_of(settings)) >= asked
    assert all(book.balanced for book in books_of(settings))


def _try_seal(home: str, publication: str, now: dt.datetime) -> bool:
    try:
        work.seal(Settings(home=Path(home), _env_file=None), publication, now=now)
    except Refused:
        return False
    return True


def test_a_second_builder_is_told_to_wait(played: tuple[Settings, Clock, str]) -> None:
    settings, clock, _ = played
    hold_workshop(settings)
    try:
        result = closedloop(settings, clock, "build")
    finally:
        release_workshop(settings)
    assert result.returncode == 1
    assert "another build is at work" in result.stderr


def environment(settings: Settings, clock: Clock) -> dict[str, str]:
    """A command in this home, at this day."""
    offset = str(clock.offset.total_seconds())
    return {**os.environ, "CLOSEDLOOP_HOME": str(settings.home), "CLOSEDLOOP_CLOCK_OFFSET_SECONDS": offset}


def closedloop(settings: Settings, clock: Clock, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "orchestration.cli", *words],
        env=environment(settings, clock),
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_an_analyst_builds_a_part_in_a_fresh_dev_target(played: tuple[Settings, Clock, str]) -> None:
    """The README's two commands, while another process holds the workshop."""
    settings, clock, _ = played
    hold_workshop(settings)
    try:
        assert closedloop(settings, clock, "dev-target").returncode == 0
        dbt = Path(sys.executable).with_name("dbt")
        words = [dbt, "build", "--target", "dev", "--select", "+rpt_nps", "--target-path", settings.home / "analyst"]
        done = subprocess.run(words, cwd=REPO, env=environment(settings, clock), capture_output=True, text=True)
        assert done.returncode == 0, done.stdout[-2000:]
    finally:
        release_workshop(settings)


def test_a_killed_build_leaves_readers_a_whole_publication(played: tuple[Settings, Clock, str]) -> None:
    settings, clock, _ = played
    work.build(settings, now=clock.now)
    shown = settings.marts_file.resolve()
    before = marts_of(settings.marts_file)
    for seconds in (1.5, 4.0, 8.0):
        builder = subprocess.Popen(
            [sys.executable, "-m", "orchestration.cli", "build"],
            env=environment(settings, clock),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            builder.wait(seconds)
        builder.send_signal(signal.SIGKILL)
        builder.wait()
        seen = settings.marts_file.resolve()
        if seen == shown:
            assert marts_of(settings.marts_file) == before
        else:  # it was fast enough to publish before the kill: then the publication is recorded and checked
            with Ledger.open(settings) as ledger:
                assert ledger_builds.newest_publication(ledger)["publication_id"] in seen.name
    assert work.build(settings, now=clock.now)


def test_a_failed_gate_publishes_nothing_and_publish_alone_refuses(played: tuple[Settings, Clock, str]) -> None:
    """Last: it poisons the lake with a contact that has no id."""
    settings, clock, _ = played
    shown = settings.marts_file.resolve()
    with Lake.open(settings) as lake:
        rows = pa.table({"Id": [None], "Email": ["nobody@late.example"], "_op": ["upsert"], "_row_hash": ["x"]})
        lake.append("crm.contact", rows, batch_id="poison", ingested_at=clock.now(), source="test")
    with pytest.raises(Refused, match="arrived"):
        work.build(settings, now=clock.now)
    assert settings.marts_file.resolve() == shown
    with Ledger.open(settings) as ledger:
        failed = ledger_builds.list_builds(ledger, limit=1)[0]
        assert failed["state"] == "failed"
        checks = ledger_builds.checks_of(ledger, failed["build_id"])
    assert "late.example" not in json.dumps([check["details"] for check in checks])
    with pytest.raises(Refused, match="failed"):
        publish(settings, failed["build_id"], now=clock.now())
    assert settings.marts_file.resolve() == shown


@pytest.mark.parametrize(("days", "why"), [((2, 0), "stands as of"), ((0, 2), "knows nothing after")])
def test_what_stands_on_old_facts_or_old_knowledge_is_not_sealed(
    settings: Settings, now: dt.datetime, days: tuple[int, int], why: str
) -> None:
    as_of, known_at = (now - dt.timedelta(days=number) for number in days)
    stands_on = {"build_id": "p", "as_of": as_of, "known_at": known_at, "definitions_hash": "d", "code_version": "c"}
    passed = {"name": "x", "gate": "dbt", "required": True, "passed": True, "details": {}}
    with Ledger.open(settings) as ledger:
        ledger_builds.start_build(ledger, **stands_on, predecessor_id="genesis", cut={}, now=now)
        ledger_builds.record_checks(ledger, "p", [passed], now=now)
        ledger_builds.record_publication(ledger, **stands_on, publication_id="p", checks_passed=1, published_at=now)
    with pytest.raises(Refused, match=why):
        work.seal(settings, "p", now=now)


def test_a_build_without_its_gates_is_refused(settings: Settings, now: dt.datetime) -> None:
    build = work.start_build(settings, as_of=now, known_at=now, now=now)
    with pytest.raises(Refused, match="no check of the gate"):
        publish(settings, build.build_id, now=now)
    release_workshop(settings)


def test_a_build_that_lost_the_workshop_is_refused(settings: Settings, now: dt.datetime) -> None:
    first = work.start_build(settings, as_of=now, known_at=now, now=now)
    work.start_build(settings, as_of=now, known_at=now, now=now + dt.timedelta(seconds=1))
    with pytest.raises(Refused, match="no longer owns"):
        work.run_gate(settings, first.build_id, "arrived", as_of=now, now=now)
    release_workshop(settings)
