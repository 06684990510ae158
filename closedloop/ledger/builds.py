"""What was built, which checks it passed, and what was published: the record that publishing and sealing stand on."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from closedloop.errors import BadInput, Refused
from closedloop.ledger.engine import Ledger
from closedloop.ledger.rows import chunks, to_json
from closedloop.ledger.schema import build_checks, builds, publications


def start_build(
    ledger: Ledger,
    *,
    build_id: str,
    predecessor_id: str,
    as_of: dt.datetime,
    known_at: dt.datetime,
    cut: Mapping[str, int],
    definitions_hash: str,
    code_version: str,
    now: dt.datetime,
) -> None:
    """Record what a build stands on: its times, its cut of the lake, and the last evaluation that it knows.

    The caller holds the builder's lock; builds that were killed are ended here as failed.
    """
    row = {
        "build_id": build_id,
        "predecessor_id": predecessor_id,
        "as_of": as_of,
        "known_at": known_at,
        "cut": json.dumps(dict(cut), sort_keys=True),
        "definitions_hash": definitions_hash,
        "code_version": code_version,
        "started_at": now,
        "state": "running",
    }
    with ledger.write() as conn:
        # One builder at a time: whatever still says that it runs was killed.
        dead = update(builds).where(builds.c.state == "running")
        conn.execute(dead.values(state="failed", finished_at=now))
        conn.execute(insert(builds), row)


def finish_build(ledger: Ledger, build_id: str, *, state: str, now: dt.datetime) -> None:
    """End a build as 'built' or 'failed'; one that was built never becomes failed."""
    if state not in ("built", "failed"):
        raise BadInput(f"a build ends 'built' or 'failed', not '{state}'", field="state")
    with ledger.write() as conn:
        conn.execute(
            update(builds)
            .where(builds.c.build_id == build_id, builds.c.state != "built")
            .values(state=state, finished_at=now)
        )


def get_build(ledger: Ledger, build_id: str) -> dict[str, Any]:
    """The build's row, `cut` parsed. Raises BadInput when there is none."""
    with ledger.read() as conn:
        return _build(conn, build_id)


def list_builds(ledger: Ledger, *, limit: int = 50) -> list[dict[str, Any]]:
    """The latest builds, newest first."""
    with ledger.read() as conn:
        rows = conn.execute(select(builds).order_by(builds.c.started_at.desc()).limit(limit)).mappings()
        return [{**row, "cut": json.loads(row["cut"])} for row in rows]


def record_checks(ledger: Ledger, build_id: str, checks: Iterable[Mapping[str, Any]], *, now: dt.datetime) -> None:
    """Record results: mappings with name, gate, required, passed and details (counts only, never a person's value).

    A check run again replaces its earlier result. Raises BadInput for an unknown build, Refused for a published one:
    what was published stays as it was checked.
    """
    rows = [
        {
            "build_id": build_id,
            "name": check["name"],
            "gate": check["gate"],
            "required": bool(check["required"]),
            "passed": bool(check["passed"]),
            "details": to_json(check.get("details") or {}),
            "recorded_at": now,
        }
        for check in checks
    ]
    with ledger.write() as conn:
        _build(conn, build_id)
        if conn.execute(select(publications).where(publications.c.build_id == build_id)).first():
            raise Refused(f"build {build_id} is published; its checks stand")
        for some in chunks(rows, 500):
            names = [row["name"] for row in some]
            conn.execute(
                delete(build_checks).where(build_checks.c.build_id == build_id, build_checks.c.name.in_(names))
            )
            conn.execute(insert(build_checks), some)


def checks_of(ledger: Ledger, build_id: str) -> list[dict[str, Any]]:
    """All recorded checks of a build by name, `details` parsed."""
    with ledger.read() as conn:
        rows = conn.execute(
            select(build_checks).where(build_checks.c.build_id == build_id).order_by(build_checks.c.name)
        ).mappings()
        return [{**row, "details": json.loads(row["details"])} for row in rows]


def record_publication(
    ledger: Ledger,
    *,
    publication_id: str,
    build_id: str,
    as_of: dt.datetime,
    known_at: dt.datetime,
    definitions_hash: str,
    code_version: str,
    checks_passed: int,
    published_at: dt.datetime,
) -> None:
    """Record that a build is what readers see. The checks are looked at here too, in the same transaction.

    Raises Refused when a required check of this build failed, when fewer than `checks_passed` (or none) are recorded
    as passed, or when the build is published already.
    """
    row = {
        "publication_id": publication_id,
        "build_id": build_id,
        "as_of": as_of,
        "known_at": known_at,
        "definitions_hash": definitions_hash,
        "code_version": code_version,
        "checks_passed": checks_passed,
        "published_at": published_at,
    }
    with ledger.write() as conn:
        _build(conn, build_id)
        required = select(func.count()).where(build_checks.c.build_id == build_id, build_checks.c.required)
        passed = conn.execute(required.where(build_checks.c.passed)).scalar_one()
        failed = conn.execute(required.where(~build_checks.c.passed)).scalar_one()
        if failed or not passed or passed != checks_passed:
            raise Refused(
                f"build {build_id} is not published: {failed} required check(s) failed, {passed} passed "
                f"where {checks_passed} were expected\n  what to do: look at its checks, mend the cause, build again"
            )
        try:
            conn.execute(insert(publications), row)
        except IntegrityError as error:
            raise Refused(f"build {build_id} is published already") from error


def get_publication(ledger: Ledger, publication_id: str) -> dict[str, Any] | None:
    """The publication's row, or None."""
    with ledger.read() as conn:
        row = (
            conn.execute(select(publications).where(publications.c.publication_id == publication_id)).mappings().first()
        )
        return _plain(row) if row else None


def newest_publication(ledger: Ledger) -> dict[str, Any] | None:
    """What readers see now, or None before the first publication."""
    found = list_publications(ledger, limit=1)
    return found[0] if found else None


def list_publications(ledger: Ledger, *, limit: int = 50) -> list[dict[str, Any]]:
    """The latest publications, newest first."""
    newest = select(publications).order_by(publications.c.seq.desc())
    with ledger.read() as conn:
        return [_plain(row) for row in conn.execute(newest.limit(limit)).mappings()]


def _build(conn: Connection, build_id: str) -> dict[str, Any]:
    row = conn.execute(select(builds).where(builds.c.build_id == build_id)).mappings().first()
    if row is None:
        raise BadInput(f"there is no build '{build_id}'", remedy="run `closedloop build`")
    return {**row, "cut": json.loads(row["cut"])}


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "export_batch"}
