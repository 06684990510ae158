"""Appending, cutting, reading and upkeep of a real lake in a fresh home."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from closedloop.errors import Busy, Refused
from closedloop.lake import Lake
from closedloop.lake.catalogue import CATALOGUE, DUCKDB_TYPE, LakeTable
from closedloop.settings import Settings

LONG_AFTER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


def _append(lake: Lake, ids: list[str], batch: str, now: dt.datetime, **more: list[str]) -> int:
    rows = pa.table({"Id": ids, **more})
    return lake.append("crm.account", rows, batch_id=batch, ingested_at=now, source="test")


def _read(lake: Lake, columns: str, cut: dict[str, int] | None = None) -> list[tuple]:
    with duckdb.connect() as con:
        lake.create_views(con, lake.cut() if cut is None else cut)
        return con.execute(f"select {columns} from lake.crm_account order by all").fetchall()


def test_a_batch_goes_in_once(lake: Lake, now: dt.datetime) -> None:
    assert _append(lake, ["a", "b"], "one", now) == 2
    assert _append(lake, ["a", "b"], "one", now) == 0
    assert _append(lake, [], "empty", now) == 0
    assert _read(lake, "Id, _batch_id, _ingested_at, _source") == [
        ("a", "one", now.replace(tzinfo=None), "test"),
        ("b", "one", now.replace(tzinfo=None), "test"),
    ]


def test_every_table_of_the_catalogue_is_a_view_with_its_types(lake: Lake, now: dt.datetime) -> None:
    _append(lake, ["a"], "one", now)
    with duckdb.connect() as con:
        lake.create_views(con, lake.cut())
        for table in CATALOGUE.values():
            found = {name: kind for name, kind, *_ in con.execute(f"describe lake.{table.view}").fetchall()}
            assert found == {name: DUCKDB_TYPE[kind] for name, kind in table.columns.items()}


def test_a_cut_stays_while_rows_and_columns_come(lake: Lake, now: dt.datetime) -> None:
    _append(lake, ["a"], "one", now)
    cut = lake.cut()
    _append(lake, ["b"], "two", now, Colour=["red"], name=["B"])
    assert _read(lake, "Id", cut) == [("a",)]
    # A new column is empty in the old rows; `name` is the canonical `Name` in another spelling.
    assert _read(lake, "Id, Name, Colour") == [("a", None, None), ("b", "B", "red")]
    assert "Colour" in lake.schema("crm.account").names


def test_a_batch_goes_onto_the_snapshot_that_was_read(lake: Lake, now: dt.datetime) -> None:
    _append(lake, ["a"], "one", now)
    rows = pa.table({"Id": ["b"]})
    with pytest.raises(Busy):
        lake.append("crm.account", rows, batch_id="two", ingested_at=now, source="t", base=None)
    base = lake.cut()["crm.account"]
    assert lake.append("crm.account", rows, batch_id="two", ingested_at=now, source="t", base=base) == 1


def test_times_are_stored_as_utc(lake: Lake, now: dt.datetime) -> None:
    aware = pa.array(
        [dt.datetime(2026, 3, 2, 10, 0, tzinfo=dt.timezone(dt.timedelta(hours=1)))], pa.timestamp("us", "UTC")
    )
    lake.append(
        "ledger.events", pa.table({"seq": [1], "occurred_at": aware}), batch_id="b", ingested_at=now, source="t"
    )
    with duckdb.connect() as con:
        lake.create_views(con, lake.cut())
        assert con.execute("select seq, occurred_at from lake.ledger_events").fetchall() == [
            (1, dt.datetime(2026, 3, 2, 9, 0))  # noqa: DTZ001
        ]


def test_upkeep_changes_files_and_no_rows(lake: Lake, now: dt.datetime) -> None:
    for number in range(10):
        _append(lake, [f"{number}"], f"batch {number}", now)
    before, old = _read(lake, "*"), lake.cut()
    assert lake.compact("crm.account") == 10
    assert len(lake.files(lake.cut())["crm.account"]) == 1
    assert lake.compact("crm.account") == 0
    kept = lake.cut()
    assert _read(lake, "*") == before == _read(lake, "*", old)
    lake.expire(set(old.values()))
    assert lake.remove_unreferenced(before=LONG_AFTER) > 0
    assert _read(lake, "*") == before == _read(lake, "*", old)
    assert lake.expire(set()) == 1
    lake.remove_unreferenced(before=LONG_AFTER)
    assert lake.cut() == kept and _read(lake, "*") == before
    with pytest.raises(Refused, match="expired"):
        lake.files(old)
    # Snapshots that knew the batches are gone; the rows still know.
    assert lake.has_batch("crm.account", "batch 3") and not lake.has_batch("crm.account", "batch 33")
    assert _append(lake, ["3"], "batch 3", now) == 0


def _append_many(home: str, worker: int, count: int) -> None:
    now = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
    with Lake.open(Settings(home=home, _env_file=None)) as lake:
        for number in range(count):
            _append(lake, [f"{worker}-{number}"], f"{worker}-{number}", now, **{f"Column{worker}": ["x"]})
            _append(lake, ["common"], f"common-{number}", now)


def test_two_processes_append_at_once_and_nothing_is_lost(settings: Settings) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_append_many, args=(str(settings.home), worker, 6)) for worker in (1, 2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(120)
        assert worker.exitcode == 0
    with Lake.open(settings) as lake:
        rows = [row[0] for row in _read(lake, "Id")]
        assert sorted(rows) == sorted([f"{w}-{n}" for w in (1, 2) for n in range(6)] + ["common"] * 6)
        assert {"Column1", "Column2"} <= set(lake.schema("crm.account").names)


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc to see which file a descriptor is")
def test_a_commit_names_only_files_that_are_on_disk(
    lake: Lake, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    _append(lake, ["a"], "one", now)
    (data,) = lake.files(lake.cut())["crm.account"]
    metadata = Path(data).parents[1] / "metadata"
    assert {data, str(metadata), str(Path(data).parent)} <= set(synced)
    assert {str(path) for path in metadata.iterdir()} <= set(synced)


def test_names_that_files_would_change_are_refused(lake: Lake, now: dt.datetime) -> None:
    with pytest.raises(ValueError, match="cannot name a column"):
        _append(lake, ["a"], "one", now, **{"Größe (m)": ["1"]})
    with pytest.raises(ValueError, match="not a table"):
        lake.append("crm.nothing", pa.table({"Id": ["a"]}), batch_id="x", ingested_at=now, source="t")


def test_a_table_made_before_a_column_of_the_catalogue_reads_null_there(
    lake: Lake, now: dt.datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "ledger.decisions"
    older = {column: kind for column, kind in CATALOGUE[name].columns.items() if column != "facts"}
    with monkeypatch.context() as before:
        before.setitem(CATALOGUE, name, LakeTable(name, older))
        lake.append(name, pa.table({"candidate_id": ["old"]}), batch_id="1", ingested_at=now, source="t")
    assert "facts" not in lake.schema(name).names

    def read() -> list[tuple]:
        with duckdb.connect() as con:
            lake.create_views(con, lake.cut())
            return con.execute("select candidate_id, facts from lake.ledger_decisions order by 1").fetchall()

    assert read() == [("old", None)]
    rows = pa.table({"candidate_id": ["new"], "facts": ['{"tier":"Gold"}']})
    lake.append(name, rows, batch_id="2", ingested_at=now, source="t")
    assert read() == [("new", '{"tier":"Gold"}'), ("old", None)]
    lake.compact(name, min_files=2)
    assert read() == [("new", '{"tier":"Gold"}'), ("old", None)]
