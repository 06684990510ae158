"""Great Expectations at three gates: what arrived, what is about to be sent, what is about to be published."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.gates.outcome import CheckOutcome

if TYPE_CHECKING:
    from closedloop.settings import Settings

__all__ = ["GATES", "CheckOutcome", "run_gate"]

GATES = ("arrived", "sending", "published")


def run_gate(settings: Settings, gate: str, *, build_id: str, as_of: dt.datetime) -> list[CheckOutcome]:
    """Run one gate over the workshop of `build_id` and write its page into `home/docs`.

    One outcome for each check, never an exception for what the data holds; the first outcome says whether the workshop
    is this build's at all, and without it nothing else is looked at. Files are read only. Raises ValueError for a gate
    that does not exist.
    """
    if gate not in GATES:
        raise ValueError(f"no gate '{gate}'; there are {', '.join(GATES)}")
    from orchestration.gates import arrived, docs, published, sending
    from orchestration.gates.runner import run_suites

    files = {"warehouse": settings.warehouse_file, "shop": settings.build_dir / "marts.duckdb"}
    landed = _landed(settings.warehouse_file, build_id, as_of)
    own = CheckOutcome(f"{gate}.workshop.belongs_to_build", gate, True, landed is not None, {"builds": 1})
    if landed is None:
        return [own]
    if gate == "arrived":
        suites = arrived.suites(landed)
        files.pop("shop")
    elif gate == "sending":
        suites = sending.suites(flood_factor=settings.flood_factor)
    else:
        last = settings.marts_file
        if last.exists():
            files["last"] = last.resolve()
        suites = published.suites(last_publication=last.exists())
    findings = run_suites(gate, suites, files)
    docs.write_page(settings.home / "docs", gate, build_id=build_id, as_of=as_of, findings=findings)
    return [own, *(outcome for finding in findings for outcome in finding.outcomes)]


def _landed(warehouse: Path, build_id: str, as_of: dt.datetime) -> frozenset[str] | None:
    """The lake tables of this build's cut, or None where the workshop is missing or another build's."""
    import duckdb

    if not warehouse.exists():
        return None
    try:
        with duckdb.connect(str(warehouse), read_only=True) as con:
            found = con.execute("select build_id, as_of, cut from lake.build_context").fetchall()
    except duckdb.CatalogException:
        return None
    if len(found) != 1 or found[0][0] != build_id or found[0][1] != as_of.astimezone(dt.UTC).replace(tzinfo=None):
        return None
    return frozenset(json.loads(found[0][2]))
