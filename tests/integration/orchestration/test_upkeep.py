"""Upkeep of the lake while others read it."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa

from closedloop.lake import Lake
from closedloop.settings import Settings
from orchestration import work


def test_a_build_under_way_keeps_the_files_that_upkeep_replaces(settings: Settings, now: dt.datetime) -> None:
    later = dt.datetime.now(dt.UTC) + dt.timedelta(hours=2)
    with Lake.open(settings) as lake:
        for number in range(10):
            rows = pa.table({"Id": [f"a{number}"]})
            lake.append("crm.account", rows, batch_id=f"b{number}", ingested_at=now, source="test")
        cut = lake.cut()  # a build, a past day or an analyst's file reads this, and no ledger says so
        assert work.tidy(settings, wall_time=later)["files_compacted"] == 10
        assert len(lake.files(cut)["crm.account"]) == 10
        assert work.tidy(settings, wall_time=later)["files_removed"] >= 10
        assert len(lake.files(lake.cut())["crm.account"]) == 1
