"""The reports of a past day, made in a workshop beside the real one: neither published nor sealed."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from closedloop.lake import Lake
from closedloop.locks import only_one
from closedloop.programme import load_surveys
from closedloop.settings import Settings
from orchestration import build as workshop
from orchestration import dbt, gates, work
from orchestration.publish import keep_reports

_BUSY = "another past day is being built in this home; wait until it is done"


@dataclass(frozen=True)
class PastDay:
    """What was made of a day; with anything in `failed` nothing was kept."""

    folder: Path
    reports: int
    rows: int
    failed: tuple[str, ...]
    seconds: float


def build_day(
    settings: Settings, day: str, *, as_of: dt.datetime, known_at: dt.datetime, quiet: bool = False
) -> PastDay:
    """Build all marts as of `as_of` from the newest cut, check them, and keep the `rpt_*` tables of `day`.

    Raises Busy when another day is being built in this home, DbtFailed when dbt could not run.
    """
    began = time.monotonic()
    place = settings.model_copy(update={"home": settings.home / "past_day"})
    folder = settings.published_dir / "history" / "days" / day
    with only_one(place.ensure_home() / "build.lock", busy=_BUSY):
        with Lake.open(settings) as lake:
            build = workshop.Build(
                build_id=f"day-{day}",
                as_of=as_of,
                known_at=known_at,
                cut=lake.cut(),
                definitions_hash=workshop.definitions_hash(load_surveys(settings.surveys)),
                code_version=workshop.code_version(),
            )
            place.build_dir.mkdir(exist_ok=True)
            marts = place.build_dir / "marts.duckdb"
            workshop.open_workshop(lake, build, place.warehouse_file, marts)
        kept_home = os.environ.get("CLOSEDLOOP_HOME")
        try:
            failed = dbt.build(place, dbt.target_dir(place), quiet=quiet).failed
        finally:
            os.environ["CLOSEDLOOP_HOME"] = kept_home or str(settings.home.resolve())
        if not failed:
            outcomes = gates.run_gate(place, "published", build_id=build.build_id, as_of=as_of)
            failed = work.failed_checks(outcomes)
        reports, rows = (0, 0) if failed else _keep(marts, folder)
    return PastDay(folder, reports, rows, tuple(failed), time.monotonic() - began)


def _keep(marts: Path, folder: Path) -> tuple[int, int]:
    """Copy the reports; a reader of the folder sees the old ones or the new ones."""
    draft = folder.with_name(f".{folder.name}.{os.getpid()}")
    rows = keep_reports(marts, draft)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(draft, folder)
    return len(rows), sum(rows.values())
