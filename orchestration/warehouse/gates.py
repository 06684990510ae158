"""The three gates as asset checks: each table bears one check per gate that looks at it.

A gate runs once, as one step, and its outcomes are recorded in the ledger: what publishing asks is that record, and these
checks show it. They block, so that a run stops where a gate fails; those about the lake do it through the build's context,
on which every model stands (the lake's tables themselves come before the build and cannot wait for it).
"""

import importlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckExecutionContext,
    AssetCheckResult,
    AssetChecksDefinition,
    AssetCheckSeverity,
    AssetCheckSpec,
    AssetKey,
    MetadataValue,
    ResourceParam,
    TableColumn,
    TableRecord,
    TableSchema,
    multi_asset_check,
)

from closedloop.lake.catalogue import CATALOGUE
from orchestration.common import catalogue as names
from orchestration.common.failures import RETRIES, failures_told_apart
from orchestration.common.platform import Platform
from orchestration.dagster_home import POOL
from orchestration.gates.outcome import CheckOutcome

_LAKE_KEYS = {table.view: names.lake_key(name) for name, table in CATALOGUE.items()} | {"build_context": names.CONTEXT}
_WARN, _BLOCK = AssetCheckSeverity.WARN, AssetCheckSeverity.ERROR


def gate_checks() -> list[AssetChecksDefinition]:
    """The three gates, in the order in which a build passes them."""
    return [_gate(gate) for gate in ("arrived", "sending", "published")]


def asset_of(table: str) -> AssetKey:
    """The asset that a gate's table is, by the table's own name."""
    return _LAKE_KEYS.get(table) or AssetKey(["marts", table])


def suites_of(gate: str) -> list[Any]:
    """What a gate looks at when everything that can arrive has arrived; nothing heavy is imported."""
    make = importlib.import_module(f"orchestration.gates.{gate}").suites
    everything = {"arrived": {"landed": frozenset(CATALOGUE)}, "sending": {}, "published": {"last_publication": True}}
    return make(**everything[gate])


def _specs(gate: str) -> dict[str, AssetCheckSpec]:
    """The checks of a gate, by the name of the table that they look at."""
    specs = {suite.name: _spec(gate, suite.name, suite.checks) for suite in suites_of(gate)}
    if gate == "arrived":
        specs["build_context"] = AssetCheckSpec(
            gate,
            asset=names.CONTEXT,
            blocking=True,
            description="Everything that the lake holds for this build can be read, is whole, and is not from the future.",
            metadata={"gate": gate},
        )
    return specs


def _spec(gate: str, table: str, checks: Iterable[Any]) -> AssetCheckSpec:
    of_lake = table in _LAKE_KEYS
    lines = [f"- {check.meaning}{'' if check.required else ' (warns only)'}" for check in checks]
    through = "\n\nWhat fails here stops the build through the check of `lake/build_context`." if of_lake else ""
    return AssetCheckSpec(
        gate,
        asset=asset_of(table),
        additional_deps=[names.CONTEXT] if of_lake else None,
        blocking=not of_lake,
        description="\n".join(lines) + through,
        metadata={"gate": gate, "engine": "Great Expectations", "checks": len(lines)},
    )


def _gate(gate: str) -> AssetChecksDefinition:
    specs = _specs(gate)

    @multi_asset_check(
        name=f"gate_{gate}",
        specs=list(specs.values()),
        description=f"The gate '{gate}': Great Expectations over the workshop, recorded for this build.",
        pool=POOL,
        retry_policy=RETRIES,
    )
    def run(context: AssetCheckExecutionContext, platform: ResourceParam[Platform]) -> Iterator[AssetCheckResult]:
        from orchestration import work
        from orchestration.build import fail_build
        from orchestration.warehouse.workshop import current_build

        with failures_told_apart():
            build = current_build(platform.settings)
            outcomes = work.run_gate(
                platform.settings, build["build_id"], gate, as_of=build["as_of"], now=platform.now()
            )
            if failed := work.failed_checks(outcomes):
                context.log.error(f"gate '{gate}' failed: {', '.join(failed)}; nothing is published")
                fail_build(platform.settings, build["build_id"], now=platform.now())
        for table, spec in specs.items():
            found = outcomes if spec.asset_key == names.CONTEXT else [one for one in outcomes if table_of(one) == table]
            yield _result(spec, found, build["build_id"], platform.settings.home / "docs" / f"{gate}.html")

    return run


def table_of(outcome: CheckOutcome) -> str:
    """The table that an outcome is about: names are `<gate>.<table>.<check>`."""
    return outcome.name.split(".")[1]


def _result(spec: AssetCheckSpec, outcomes: list[CheckOutcome], build_id: str, docs: Path) -> AssetCheckResult:
    """Passed when something was looked at and nothing is wrong; what warns only does not block."""
    bad = [outcome for outcome in outcomes if not outcome.passed]
    must = [outcome for outcome in bad if outcome.required]
    whole = spec.asset_key == names.CONTEXT  # looks at all tables, so each is named
    return AssetCheckResult(
        check_name=spec.name,
        asset_key=spec.asset_key,
        passed=bool(outcomes) and not bad,
        severity=_BLOCK if must or not outcomes else _WARN,
        description="; ".join(_say(outcome, whole) for outcome in (must or bad)[:5]) if outcomes else "did not run",
        metadata={
            "build_id": build_id,
            "checks": len(outcomes),
            "failed": len(bad),
            "data_docs": MetadataValue.path(str(docs)),
            "outcomes": MetadataValue.table(
                records=[
                    TableRecord(
                        {
                            "check": outcome.name.split(".", 1 if whole else 2)[-1],
                            "passed": outcome.passed,
                            "required": outcome.required,
                            "rows": outcome.details.get("rows", 0),
                            "evaluated": outcome.details.get("evaluated", 0),
                            "violations": outcome.details.get("violations", 0),
                        }
                    )
                    for outcome in outcomes
                ],
                schema=_SCHEMA,
            ),
        },
    )


_SCHEMA = TableSchema(
    columns=[
        TableColumn("check", "string"),
        TableColumn("passed", "bool"),
        TableColumn("required", "bool"),
        *(TableColumn(name, "int") for name in ("rows", "evaluated", "violations")),
    ]
)


def _say(outcome: CheckOutcome, with_table: bool) -> str:
    name = outcome.name.split(".", 1 if with_table else 2)[-1]
    details = outcome.details
    if details.get("exceptions"):
        return f"{name}: could not run"
    if details.get("violations"):
        return f"{name}: {details['violations']:,} of {details.get('rows', 0):,} rows"
    return f"{name}: looked at {details.get('evaluated', 0):,} of {details.get('rows', 0):,} rows"
