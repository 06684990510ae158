"""A workshop of its own in which days are played through by the very models that decide, and nothing is decided."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

from closedloop.errors import Busy, ClosedLoopError, Refused
from closedloop.lake import Lake
from closedloop.ledger import Ledger
from closedloop.ledger.export import export
from closedloop.locks import take_lock
from closedloop.programme import Survey
from closedloop.settings import Settings
from orchestration.build import Build, Replay, hold_workshop, newest_definitions, open_workshop, release_workshop
from orchestration.dbt import build as run_models
from orchestration.programme_fields import UnknownField, unknown_fields

DECIDED = "+int_replay_decisions"
PROPOSED = "+survey_queue"
PAST = "int_replay_past"
"""Who was asked and answered: no play changes it, and it takes longer than all the rest."""
WAIT_SECONDS = 120
"""So long a plan waits for another one in the same home."""

Progress = Callable[[str], None]


@dataclass
class Playground:
    """A warehouse beside the builder's, over the newest cut of the lake; `con` reads what the models gave."""

    settings: Settings
    lake: Lake
    as_of: dt.datetime
    known_at: dt.datetime
    folder: Path
    is_fresh: bool = True

    def play(
        self, surveys: Sequence[Survey], replay: Replay, *, models: Sequence[str] = (DECIDED,), since: dt.datetime
    ) -> None:
        """Run the models for these programmes, as if they stood in the lake, and had been active `since` then at the latest.

        A second play in the same playground runs only what a programme or the days can change.
        """
        build = Build("replay", self.as_of, self.known_at, self.lake.cut(), "replay", "replay")
        self.folder.mkdir(parents=True, exist_ok=True)
        open_workshop(
            self.lake,
            build,
            self.folder / "warehouse.duckdb",
            self.folder / "marts.duckdb",
            definitions=self._versions(surveys, since),
            replay=replay,
        )
        chosen = models
        if not self.is_fresh:
            changed = ("stg_definitions__versions+", "stg_replay__period+", "stg_crm__field_versions+")
            chosen = [*(f"{model},{part}" for model in models for part in changed), "--exclude", PAST]
        found = run_models(
            self.settings,
            self.folder / "target",
            selection=["--exclude-resource-type", "test", "--select", *chosen],
            profile="replay",
            quiet=True,
        )
        if found.failed:
            raise ClosedLoopError(
                f"the models could not be run: {', '.join(found.failed[:3])}\n  what to do: logs/dbt/dbt.log in the home"
            )
        self.is_fresh = False

    def _versions(self, surveys: Sequence[Survey], since: dt.datetime) -> list[Mapping[str, object]]:
        """Rows that make these programmes the newest known, and active from `since` on where they were not before."""
        known = newest_definitions(self.lake)
        rows: list[Mapping[str, object]] = []
        for survey in surveys:
            row = (survey.id, survey.definition_hash, survey.definition, survey.status)
            rows.append(_row(*row, since))
            old = known.get(survey.id)
            if old is None or (old["definition_hash"], old["status"]) != (survey.definition_hash, survey.status):
                rows.append(_row(*row, self.known_at))
        for gone in known.keys() - {survey.id for survey in surveys}:
            old = known[gone]
            if old["status"] != "removed":
                rows.append(_row(gone, old["definition_hash"], old["definition"], "removed", self.known_at))
        return rows

    def unknown_fields(self, surveys: Sequence[Survey]) -> list[UnknownField]:
        """CRM fields that these programmes name and no export ever brought."""
        with duckdb.connect(str(self.folder / "warehouse.duckdb"), read_only=True) as con:
            return unknown_fields(con, surveys)

    def rows(self, query: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """What a query gives, as dicts; times are naive UTC."""
        with duckdb.connect(str(self.folder / "warehouse.duckdb"), read_only=True) as con:
            con.execute(f"attach '{self.folder / 'marts.duckdb'}' as shop (read_only)")
            result = con.execute(query, list(parameters))
            names = [column[0] for column in result.description]
            return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _row(survey_id: str, definition_hash: str, definition: str, status: str, at: dt.datetime) -> dict[str, object]:
    at = at.astimezone(dt.UTC).replace(tzinfo=None)
    return {
        "survey_id": survey_id,
        "definition_hash": definition_hash,
        "definition": definition,
        "status": status,
        "_batch_id": "replay",
        "_ingested_at": at,
        "_source": "replay",
    }


@contextmanager
def playground(
    settings: Settings, *, as_of: dt.datetime, now: dt.datetime, progress: Progress | None = None
) -> Iterator[Playground]:
    """A playground over all that is known now and had happened by `as_of`; its files go with the block.

    What the ledger holds is taken into the lake first, unless a build is at work and does that itself. Raises Refused
    where the home has no CRM yet.
    """
    say = progress or (lambda _: None)
    settings.ensure_home()
    folder = settings.home / "replay"
    folder.mkdir(exist_ok=True)
    with _alone(folder / "lock"), Lake.open(settings) as lake:
        say("reading the newest facts")
        if "crm.contact" not in lake.tables():
            raise Refused("there is no CRM in this home yet\n  what to do: run `closedloop ingest crm FOLDER` first")
        _export(settings, lake, now=now)
        _clear(folder)
        try:
            yield Playground(settings, lake, as_of, max(now, as_of), folder)
        finally:
            _clear(folder)


def _clear(folder: Path) -> None:
    # The parsed project stays: reading it anew costs seconds each time.
    for file in folder.glob("*.duckdb*"):
        file.unlink(missing_ok=True)
    shutil.rmtree(folder / "target" / "compiled", ignore_errors=True)
    shutil.rmtree(folder / "target" / "run", ignore_errors=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    ends = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            handle = take_lock(path, busy="another plan or what-if is at work in this home; try again when it is done")
            break
        except Busy:
            if time.monotonic() > ends:
                raise
            time.sleep(0.5)
    with handle:
        yield


def _export(settings: Settings, lake: Lake, *, now: dt.datetime) -> None:
    try:
        hold_workshop(settings)
    except Busy:
        return
    try:
        with Ledger.open(settings) as ledger:
            export(ledger, lake, now=now)
    finally:
        release_workshop(settings)
