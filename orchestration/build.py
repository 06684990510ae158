"""The workshop: fix what a build stands on, and make the warehouse file ready for dbt.

One builder at a time. The file lock is taken by `start_build` and held until the build is published, failed, or its process
ends; every later step names its build, and refuses when the workshop meanwhile belongs to another one.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import subprocess
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa

from closedloop import __version__
from closedloop.errors import Refused
from closedloop.lake import Lake
from closedloop.ledger import Ledger
from closedloop.ledger import builds as ledger_builds
from closedloop.ledger.export import export
from closedloop.ledger.planning import last_evaluation
from closedloop.locks import take_lock
from closedloop.programme import Survey, load_surveys
from closedloop.settings import REPO, Settings
from orchestration.programme_fields import show_fields

_held: dict[Path, IO[str]] = {}


@dataclass(frozen=True)
class Build:
    """What one build stands on: with these and the code, its marts can be made again, row for row."""

    build_id: str
    as_of: dt.datetime
    known_at: dt.datetime
    cut: dict[str, int]
    definitions_hash: str
    code_version: str


def hold_workshop(settings: Settings) -> None:
    """Take the builder's lock, or keep it when this process has it. Raises Busy."""
    path = settings.home / "build.lock"
    if path in _held:
        return
    _held[path] = take_lock(path, busy="another build is at work in this home; wait until it is done")


def release_workshop(settings: Settings) -> None:
    """Give the builder's lock back."""
    if handle := _held.pop(settings.home / "build.lock", None):
        handle.close()


def code_version() -> str:
    """The release, with the commit where the code runs from a checkout."""
    found = subprocess.run(
        ["git", "rev-parse", "--short=12", "HEAD"], cwd=REPO, capture_output=True, text=True, check=False
    )
    return f"{__version__}+{found.stdout.strip()}" if found.returncode == 0 else __version__


def start_build(
    settings: Settings,
    *,
    as_of: dt.datetime,
    known_at: dt.datetime,
    now: dt.datetime,
    cut: dict[str, int] | None = None,
) -> Build:
    """Sync definitions, export the ledger, fix the cut and open a fresh workshop for dbt.

    `cut` repeats an earlier build's snapshots instead of today's. Raises Busy when another builder is at work.
    """
    settings.ensure_home()
    hold_workshop(settings)
    with Lake.open(settings) as lake, Ledger.open(settings) as ledger:
        try:
            surveys = load_surveys(settings.surveys)
            sync_definitions(lake, surveys, now=now)
            predecessor = last_evaluation(ledger)
            export(ledger, lake, now=now)
            build = Build(
                build_id=f"{as_of:%Y%m%dT%H%M%S}-{uuid.uuid4().hex[:8]}",
                as_of=as_of,
                known_at=known_at,
                cut=cut if cut is not None else lake.cut(),
                definitions_hash=definitions_hash(surveys),
                code_version=code_version(),
            )
            settings.build_dir.mkdir(exist_ok=True)
            open_workshop(lake, build, settings.warehouse_file, settings.build_dir / "marts.duckdb")
            ledger_builds.start_build(
                ledger,
                build_id=build.build_id,
                predecessor_id=predecessor,
                as_of=as_of,
                known_at=known_at,
                cut=build.cut,
                definitions_hash=build.definitions_hash,
                code_version=build.code_version,
                now=now,
            )
        except BaseException:
            release_workshop(settings)
            raise
    return build


@dataclass(frozen=True)
class Replay:
    """Days to play through without deciding anything, first and last included: of all surveys, or of one."""

    starts_on: dt.date
    ends_on: dt.date
    survey_id: str | None = None
    is_alone: bool = False


def open_workshop(
    lake: Lake,
    build: Build,
    warehouse: Path,
    marts: Path,
    *,
    definitions: Iterable[Mapping[str, object]] = (),
    replay: Replay | None = None,
) -> None:
    """Lake views and the build's context in `warehouse`, and an empty `marts` file that bears the build's id.

    `definitions` are programmes as the lake would hold them, that it does not (a plan of an edited file); `replay` the
    days that a plan or a what-if plays through.
    """
    for path in (marts, marts.with_suffix(".duckdb.wal")):
        path.unlink(missing_ok=True)
    with duckdb.connect(str(marts)) as con:
        con.execute("create schema marts")
        con.execute("create table main.build_token as select ? as build_id", [build.build_id])
    with duckdb.connect(str(warehouse)) as con:
        lake.create_views(con, build.cut)
        con.execute(
            """
            create or replace table lake.build_context as
            select ?::varchar as build_id, ?::timestamp as as_of, ?::timestamp as known_at,
                   ?::varchar as cut, ?::varchar as definitions_hash, ?::varchar as code_version
            """,
            [
                build.build_id,
                build.as_of.astimezone(dt.UTC).replace(tzinfo=None),
                build.known_at.astimezone(dt.UTC).replace(tzinfo=None),
                json.dumps(build.cut, sort_keys=True),
                build.definitions_hash,
                build.code_version,
            ],
        )
        _show_definitions(con, definitions)
        con.execute(
            "create or replace table lake.replay (survey_id varchar, starts_on date, ends_on date, is_alone boolean)"
        )
        if replay is not None:
            row = [replay.survey_id, replay.starts_on, replay.ends_on, replay.is_alone]
            con.execute("insert into lake.replay values (?, ?, ?, ?)", row)
        show_fields(con)


def _show_definitions(con: duckdb.DuckDBPyConnection, definitions: Iterable[Mapping[str, object]]) -> None:
    """Definitions that the lake does not hold, beside those that it does; their `_ingested_at` says since when."""
    rows = list(definitions)
    if not rows:
        return
    con.execute(
        "create or replace table lake.further_definitions as select * from lake.definitions_surveys where false"
    )
    for row in rows:
        names = ", ".join(row)
        con.execute(
            f"insert into lake.further_definitions ({names}) values ({', '.join('?' * len(row))})", list(row.values())
        )
    held = con.execute(
        "select sql from duckdb_views() where schema_name = 'lake' and view_name = 'definitions_surveys'"
    )
    query = held.fetchone()[0].split(" AS ", 1)[1].rstrip(";")
    con.execute(
        f"create or replace view lake.definitions_surveys as ({query}) union all by name from lake.further_definitions"
    )


def owner_of(marts: Path) -> str | None:
    """The id of the build that made this marts file, or None where there is none."""
    if not marts.exists():
        return None
    with duckdb.connect(str(marts), read_only=True) as con:
        found = con.execute(
            "select count(*) from information_schema.tables where table_name = 'build_token'"
        ).fetchone()
        if not found or not found[0]:
            return None
        row = con.execute("select build_id from main.build_token").fetchone()
        return row[0] if row else None


def claim_workshop(settings: Settings, build_id: str) -> None:
    """Hold the lock and see that the workshop is still this build's. Raises Busy or Refused."""
    hold_workshop(settings)
    if owner_of(settings.build_dir / "marts.duckdb") != build_id:
        raise Refused(f"build {build_id} no longer owns the workshop: another build began after it; build again")


def fail_build(settings: Settings, build_id: str, *, now: dt.datetime) -> None:
    """Record that this build will never be published, and let the next builder in."""
    with Ledger.open(settings) as ledger:
        ledger_builds.finish_build(ledger, build_id, state="failed", now=now)
    release_workshop(settings)


def definitions_hash(surveys: Iterable[Survey]) -> str:
    """One hash over all programmes, in the order of their ids."""
    return hashlib.sha256("\n".join(survey.definition_hash for survey in surveys).encode()).hexdigest()


def sync_definitions(lake: Lake, surveys: Iterable[Survey], *, now: dt.datetime) -> int:
    """Append each programme that changed, and a `removed` row for each that is gone. Returns the rows appended."""
    surveys = tuple(surveys)
    known = newest_definitions(lake)
    rows: list[dict[str, str]] = [
        {
            "survey_id": survey.id,
            "definition_hash": survey.definition_hash,
            "definition": survey.definition,
            "status": survey.status,
        }
        for survey in surveys
        if known.get(survey.id, {}).get("definition_hash") != survey.definition_hash
        or known[survey.id]["status"] == "removed"
    ]
    rows += [
        {**known[gone], "status": "removed"}
        for gone in sorted(known.keys() - {survey.id for survey in surveys})
        if known[gone]["status"] != "removed"
    ]
    if not rows:
        return 0
    batch = hashlib.sha256(json.dumps([rows, now.isoformat()], sort_keys=True).encode()).hexdigest()[:16]
    return lake.append(
        "definitions.surveys", pa.Table.from_pylist(rows), batch_id=batch, ingested_at=now, source="surveys"
    )


def newest_definitions(lake: Lake) -> dict[str, dict[str, str]]:
    """The newest row of each survey in the lake, by survey id."""
    with duckdb.connect() as con:
        lake.create_views(
            con, {name: snapshot for name, snapshot in lake.cut().items() if name == "definitions.surveys"}
        )
        rows = con.execute(
            """
            select survey_id, definition_hash, definition, status
            from (select *, row_number() over (partition by survey_id order by _ingested_at desc) as newest
                  from lake.definitions_surveys)
            where newest = 1
            """
        ).fetchall()
    return {
        row[0]: dict(zip(("survey_id", "definition_hash", "definition", "status"), row, strict=True)) for row in rows
    }
