"""One evaluation and one what-if against a hand-written query that does the same: `make bench ARGS="--contacts 100000"`.

Both sides read the same Parquet files, in processes of their own, in turn. The models' time is net of an empty run: the same dbt
command in the same process over a lake without rows, so that what remains is the work and not dbt's start. A run in which the
two sides do not decide the same fails.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.generate import AS_OF, PROGRAMMES, SINCE, generate
from closedloop.lake import Lake
from closedloop.programme import Survey, load_surveys
from closedloop.settings import Settings
from orchestration.build import Build, Replay, open_workshop
from orchestration.dbt import build as run_models
from orchestration.replay import Playground
from orchestration.what_if import overridden

HERE = Path(__file__).parent
EVALUATION = ["--exclude-resource-type", "test", "--select", "+survey_queue"]
PERIOD = Replay(dt.date(2025, 6, 1), dt.date(2026, 5, 31), survey_id="quarterly")
FRESH_DAYS, SECOND_DAYS = 180, 120
"""Cooldowns of the what-if (the programme says 90), and of the second one in the same playground."""
DECIDED = {
    "evaluation": ("shop.marts.survey_queue", "queue", "candidate_id, decision, deciding_rule, all_failed_rules"),
    "what_if": ("intermediate.int_replay_decisions", "decisions", "candidate_id, decision, deciding_rule, decided_on"),
}
KINDS = ("evaluation", "what_if", "second_what_if")


# The models ----------------------------------------------------------------------------
def run_evaluation(data: Settings, work: Settings) -> dict[str, float]:
    """`dbt build` of the queue and all that it stands on, into fresh files; seconds of the dbt command."""
    _clear(work.home)
    work.build_dir.mkdir(exist_ok=True)
    with Lake.open(data) as lake:
        made = Build("benchmark", AS_OF, AS_OF, lake.cut(), "benchmark", "benchmark")
        open_workshop(lake, made, work.warehouse_file, work.build_dir / "marts.duckdb")
    began = time.perf_counter()
    found = run_models(work, work.home / "target", selection=EVALUATION, quiet=True)
    seconds = time.perf_counter() - began
    if found.failed:
        raise SystemExit(f"models failed: {', '.join(found.failed)}")
    return {"evaluation": seconds}


def run_what_if(data: Settings, work: Settings, keep: Callable[[str], None] = lambda _: None) -> dict[str, float]:
    """The survey's year under another cooldown in a fresh playground, then under a third one in the same."""
    _clear(work.home)
    surveys = load_surveys(PROGRAMMES)
    seconds = {}
    with Lake.open(data) as lake:
        ground = Playground(work, lake, AS_OF, AS_OF, work.home / "replay")
        for name, days in (("what_if", FRESH_DAYS), ("second_what_if", SECOND_DAYS)):
            changed = [_with_cooldown(one, days) if one.id == PERIOD.survey_id else one for one in surveys]
            began = time.perf_counter()
            ground.play(changed, PERIOD, since=AS_OF)
            seconds[name] = time.perf_counter() - began
            keep(name)
    return seconds


def _with_cooldown(survey: Survey, days: int) -> Survey:
    return overridden(survey, {"cooldown.days": days})


def _clear(home: Path) -> None:
    for folder in (home, home / "build", home / "replay"):
        for file in folder.glob("*.duckdb*"):
            file.unlink()


# The floor -----------------------------------------------------------------------------
def run_floor(data: Settings, file: Path, kind: str) -> float:
    """The hand-written script over the same files, into a fresh file; seconds of its statements."""
    file.unlink(missing_ok=True)
    with duckdb.connect(str(file)) as con:
        con.execute("set TimeZone = 'UTC'")
        with Lake.open(data) as lake:
            lake.create_views(con, lake.cut())
        moment = AS_OF.replace(tzinfo=None)
        variables: dict[str, Any] = {"as_of": moment, "known_at": moment, "active_since": SINCE.replace(tzinfo=None)}
        if kind != "evaluation":
            variables |= {"starts_on": PERIOD.starts_on, "ends_on": PERIOD.ends_on}
            variables["cooldown"] = FRESH_DAYS if kind == "what_if" else SECOND_DAYS
        for name, value in variables.items():
            con.execute(f"set variable {name} = ?", [value])
        script = (HERE / f"floor_{kind.removeprefix('second_')}.sql").read_text()
        began = time.perf_counter()
        for statement in duckdb.extract_statements(script):
            con.execute(statement)
        return time.perf_counter() - began


def differences(models: Path, marts: Path | None, floor: Path, kind: str) -> tuple[int, int]:
    """How many rows one side has and the other has not, and how many rows the models decided."""
    theirs, ours, columns = DECIDED[kind.removeprefix("second_")]
    with duckdb.connect() as con:
        con.execute(f"attach '{models}' as warehouse (read_only)")
        con.execute(f"attach '{floor}' as floor (read_only)")
        if marts:
            con.execute(f"attach '{marts}' as shop (read_only)")
        theirs = theirs if marts else f"warehouse.{theirs}"
        a, b = f"select {columns} from {theirs}", f"select {columns} from floor.{ours}"
        rows = con.execute(
            f"select (select count(*) from ({a} except all {b})) + (select count(*) from ({b} except all {a})), "
            f"(select count(*) from ({a}))"
        ).fetchone()
    return int(rows[0]), int(rows[1])


# One process ---------------------------------------------------------------------------
def child(side: str, kind: str, folder: Path, is_net: bool) -> dict[str, Any]:
    """What one process measures: for the models the start, an empty run and the full one; for the floor one run."""
    data = Settings(home=folder / "lake")
    if side == "floor":
        kinds = [kind] if kind == "evaluation" else ["what_if", "second_what_if"]
        return {name: run_floor(data, folder / f"floor_{name}.duckdb", name) for name in kinds} | {"peak": _peak()}
    work, empty = Settings(home=folder / "work"), Settings(home=folder / "empty")
    work.ensure_home()
    if kind == "evaluation":
        play: Callable[..., dict[str, float]] = run_evaluation
        rest: tuple[Any, ...] = ()
    else:
        play = run_what_if

        def keep(name: str) -> None:
            shutil.copy(work.home / "replay" / "warehouse.duckdb", folder / f"models_{name}.duckdb")

        rest = (keep,)
    nothing = dict.fromkeys(KINDS, 0.0)
    began = time.perf_counter()
    if is_net:
        play(empty, work)
    start = time.perf_counter() - began
    if is_net:
        nothing = play(empty, work)
    gross = play(data, work, *rest)
    net = {name: seconds - nothing[name] for name, seconds in gross.items()}
    return {**net, "empty": nothing, "start": start, "peak": _peak()}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2


def _in_process(side: str, kind: str, folder: Path, is_net: bool) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.eligibility", "--child", side, kind, str(folder), str(int(is_net))],
        cwd=HERE.parent, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{side} of {kind} failed:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


# All of it -----------------------------------------------------------------------------
def measure(
    folder: Path, contacts: int, repeats: int, seed: int, *, is_net: bool = True, say: Callable[[str], None] = print
) -> dict[str, Any]:
    """Generate, run both sides in turn, compare; all single runs. Raises SystemExit where the sides differ.

    With `is_net` false the models' time has dbt's start in it: enough to compare what is decided.
    """
    began = time.perf_counter()
    rows = generate(Settings(home=folder / "lake"), contacts, seed=seed)
    generate(Settings(home=folder / "empty"), 0)
    say(f"{contacts:,} contacts, {rows['ledger.decisions']:,} decisions: made in {time.perf_counter() - began:.0f} s")
    runs: dict[str, list[dict[str, Any]]] = {}
    decided = {}
    for number in range(repeats):
        for kind in ("evaluation", "what_if"):
            order = ("models", "floor") if number % 2 == 0 else ("floor", "models")
            for side in order:
                runs.setdefault(f"{side} {kind}", []).append(_in_process(side, kind, folder, is_net))
            for name in KINDS[:1] if kind == "evaluation" else KINDS[1:]:
                work = folder / "work"
                models = work / "warehouse.duckdb" if name == "evaluation" else folder / f"models_{name}.duckdb"
                marts = work / "build" / "marts.duckdb" if name == "evaluation" else None
                differ, decided[name] = differences(models, marts, folder / f"floor_{name}.duckdb", name)
                if differ:
                    raise SystemExit(f"{name}: {differ} rows of the models and the floor are not the same")
            say(f"run {number + 1} of {repeats}: {kind} done, both sides decide the same")
    return {"contacts": contacts, "seed": seed, "rows": rows, "decided": decided, "runs": runs}


def summary(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Medians with their least and greatest value, one row a kind."""
    table = []
    for name in KINDS:
        kind = name.removeprefix("second_")
        models, floor = found["runs"][f"models {kind}"], found["runs"][f"floor {kind}"]
        pairs = [(one[name], other[name]) for one, other in zip(models, floor, strict=True)]
        table.append(
            {
                "kind": name,
                "decided": found["decided"][name],
                "models_s": _spread([one for one, _ in pairs]),
                "floor_s": _spread([other for _, other in pairs]),
                "ratio": _spread([one / other for one, other in pairs]),
                "empty_s": _spread([run["empty"][name] for run in models]),
                "models_peak_gib": max(run["peak"] for run in models),
                "floor_peak_gib": max(run["peak"] for run in floor),
            }
        )
    return table


def _spread(values: list[float]) -> tuple[float, float, float]:
    return statistics.median(values), min(values), max(values)


def shown(table: list[dict[str, Any]]) -> str:
    def spread(three: tuple[float, float, float]) -> str:
        return f"{three[0]:.2f} ({three[1]:.2f}-{three[2]:.2f})"

    lines = [
        "| | decisions | models, s | floor, s | ratio | empty run, s | peak models, GiB | peak floor, GiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in table:
        spreads = " | ".join(spread(row[name]) for name in ("models_s", "floor_s", "ratio", "empty_s"))
        peaks = f"{row['models_peak_gib']:.1f} | {row['floor_peak_gib']:.1f}"
        lines.append(f"| {row['kind'].replace('_', ' ')} | {row['decided']:,} | {spreads} | {peaks} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--contacts", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where to work (thrown away at the end; default: a temporary one)")
    parser.add_argument("--json", type=Path, help="write all runs to this file")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        side, kind, folder, is_net = given.child
        with contextlib.redirect_stdout(sys.stderr):
            found = child(side, kind, Path(folder), is_net == "1")
        print(json.dumps(found))
        return
    folder = Path(tempfile.mkdtemp(prefix="benchmark-", dir=given.folder))
    try:
        found = measure(folder, given.contacts, given.repeats, given.seed)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table = summary(found)
    print(shown(table))
    if given.json:
        given.json.write_text(json.dumps({**found, "summary": table}, indent=1))


if __name__ == "__main__":
    main()
