"""Runs suites through Great Expectations and turns what it says into outcomes that can be trusted.

Great Expectations is imported here, and only when a gate runs: it costs seconds.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.gates.checks import Check, Suite
from orchestration.gates.outcome import CheckOutcome


@dataclass(frozen=True)
class Finding:
    """One suite after its run: outcomes in the order of the checks, and the cleaned result for the docs (or None)."""

    suite: Suite
    outcomes: tuple[CheckOutcome, ...]
    result: Any


def run_suites(gate: str, suites: Iterable[Suite], files: Mapping[str, Path]) -> list[Finding]:
    """Run all suites of a gate over read-only files (name -> file); tables are named `<name>.<schema>.<table>`."""
    from orchestration.gates.duck import connection_string, read_only

    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")  # read at import
    with _quiet(), read_only(files) as con:
        context = _context()
        sources = {
            name: context.data_sources.add_sql(name, connection_string=connection_string(name)) for name in files
        }
        return [_run_suite(gate, suite, sources[suite.table.split(".")[0]], con) for suite in suites]


def _run_suite(gate: str, suite: Suite, source: Any, con: Any) -> Finding:
    if not suite.checks:
        return Finding(
            suite, (CheckOutcome(f"{gate}.{suite.name}.has_checks", gate, True, False, {"checks": 0}),), None
        )
    if not _exists(con, suite.table):
        return Finding(suite, (CheckOutcome(f"{gate}.{suite.name}.exists", gate, True, False, {"tables": 0}),), None)
    try:
        result = _validate(suite, source)
        verdicts = {r.expectation_config.meta["check"]: r for r in result.results}
    except Exception:  # whatever breaks in there, a check that did not run has not passed
        result, verdicts = None, {}
    outcomes = tuple(_outcome(gate, suite, check, verdicts.get(check.name), con) for check in suite.checks)
    return Finding(suite, outcomes, _without_values(result))


def _validate(suite: Suite, source: Any) -> Any:
    import great_expectations as gx
    import great_expectations.expectations as gxe

    _, schema, table = suite.table.split(".")
    batch = source.add_table_asset(suite.name, table_name=table, schema_name=schema)
    expectations = [
        getattr(gxe, check.expectation)(**check.arguments, description=check.meaning, meta={"check": check.name})
        for check in suite.checks
    ]
    definition = gx.ValidationDefinition(
        name=suite.name,
        data=batch.add_batch_definition_whole_table("all"),
        suite=gx.ExpectationSuite(name=suite.name, expectations=expectations),
    )
    # BOOLEAN_ONLY: a fuller format carries the values it found, and they may be personal.
    definition.suite = source.data_context.suites.add(definition.suite)
    return source.data_context.validation_definitions.add(definition).run(result_format="BOOLEAN_ONLY")


def _outcome(gate: str, suite: Suite, check: Check, verdict: Any, con: Any) -> CheckOutcome:
    """Passed only if it ran, raised nothing, looked at something (or may look at nothing) and found no fault."""
    name = f"{gate}.{suite.name}.{check.name}"
    if verdict is None or _raised(verdict.exception_info):
        return CheckOutcome(name, gate, check.required, False, {"exceptions": 1})
    try:
        rows, evaluated = con.execute(
            f"with this as (select * from {suite.table}) select count(*), {check.evaluates} from this"
        ).fetchone()
        details = {"rows": rows, "evaluated": evaluated}
        if not verdict.success and check.violations:
            details["violations"] = con.execute(
                f"with this as (select * from {suite.table}) select count(*) from ({check.violations}) as found"
            ).fetchone()[0]
    except Exception:
        return CheckOutcome(name, gate, check.required, False, {"exceptions": 1})
    fine = evaluated > 0 or check.none_is_fine or (rows == 0 and suite.empty_is_fine)
    return CheckOutcome(name, gate, check.required, bool(verdict.success and fine), details)


def _raised(info: Any) -> bool:
    """Whether an exception stands in a result; it comes flat, or in one entry for each metric."""
    if not info:
        return False
    if "raised_exception" in info:
        return bool(info["raised_exception"])
    return any(_raised(entry) for entry in info.values())


def _without_values(result: Any) -> Any:
    """The result for the docs: an exception's text may quote a value, so only the fact that there was one stays."""
    for entry in result.results if result is not None else ():
        entry.result = {}
        if _raised(entry.exception_info):
            entry.exception_info = {
                "raised_exception": True,
                "exception_message": "the check could not run; its error is withheld because it may quote values",
                "exception_traceback": "",
            }
    return result


def _exists(con: Any, table: str) -> bool:
    database, schema, name = table.split(".")
    found = con.execute(
        "select count(*) from information_schema.tables where table_catalog = ? and table_schema = ? and table_name = ?",
        [database, schema, name],
    ).fetchone()
    return bool(found and found[0])


def _context() -> Any:
    """A context that lives in memory, tells no one that it exists, and draws no progress bars."""
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    return context


@contextmanager
def _quiet() -> Iterator[None]:
    """Its loggers print statements and errors with values in them; the outcomes say what there is to say."""
    import great_expectations.render.renderer  # noqa: F401 - its loggers exist once it is imported

    loggers = [
        logger for name, logger in logging.root.manager.loggerDict.items() if name.startswith("great_expectations")
    ]
    silenced = [logger for logger in loggers if isinstance(logger, logging.Logger) and not logger.disabled]
    for logger in silenced:
        logger.disabled = True
    try:
        yield
    finally:
        for logger in silenced:
            logger.disabled = False
