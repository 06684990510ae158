"""The shop window: a checked build becomes visible in one atomic step, with a row that says what it stands on."""

from __future__ import annotations

import datetime as dt
import os
import shutil
from pathlib import Path

import duckdb

from closedloop.errors import Refused
from closedloop.ledger import Ledger
from closedloop.ledger import builds as ledger_builds
from closedloop.ledger.planning import withdraw
from closedloop.settings import Settings
from orchestration.build import claim_workshop, release_workshop

GATES = ("arrived", "dbt", "sending", "published")
"""Every build must have passed all required checks of each of these."""
FRESH_FOR = dt.timedelta(hours=24)
"""On a publication that stands on older facts nothing is decided: what it says may have changed."""
KEPT_FILES = 5
"""Older published files are removed; what the reports said stays in `history/`."""


def publish(settings: Settings, build_id: str, *, now: dt.datetime) -> str:
    """Make the marts of `build_id` what readers see; returns the publication's id (the build's own).

    Raises Refused unless every required check of exactly this build is recorded as passed. Readers that have the old
    file open keep it; new ones see the new file. Publishing again what is published changes nothing.
    """
    with Ledger.open(settings) as ledger:
        build = ledger_builds.get_build(ledger, build_id)
        if ledger_builds.get_publication(ledger, build_id):
            _conclude(settings, ledger, build_id, now=now)
            return build_id
        passed = checks_passed(ledger, build_id)
        claim_workshop(settings, build_id)
        target = settings.published_dir / f"marts-{build_id}.duckdb"
        settings.published_dir.mkdir(exist_ok=True)
        draft = target.with_suffix(".draft")
        built = settings.build_dir / "marts.duckdb"
        with duckdb.connect(str(built)) as con:
            con.execute("checkpoint")  # so that the file alone holds everything
        shutil.copyfile(built, draft)
        audit = {
            "publication_id": build_id,
            "build_id": build_id,
            "as_of": build["as_of"],
            "known_at": build["known_at"],
            "definitions_hash": build["definitions_hash"],
            "code_version": build["code_version"],
            "checks_passed": passed,
            "published_at": now,
        }
        _add_audit_row(draft, audit)
        keep_reports(draft, settings.published_dir / "history" / build_id)
        _durable(draft)
        os.replace(draft, target)
        # The record stands before the link: a crash between the two is mended by publishing again.
        ledger_builds.record_publication(ledger, **audit)
        _conclude(settings, ledger, build_id, now=now)
    _remove_old_files(settings.published_dir, keep=target)
    release_workshop(settings)
    return build_id


def _conclude(settings: Settings, ledger: Ledger, build_id: str, *, now: dt.datetime) -> None:
    """What follows the record of a publication; doing it again changes nothing. Not for one that is not the newest."""
    newest = ledger_builds.newest_publication(ledger)
    target = settings.published_dir / f"marts-{build_id}.duckdb"
    if newest is None or newest["publication_id"] != build_id or not target.exists():
        return
    point_readers_at(settings, target)
    ledger_builds.finish_build(ledger, build_id, state="built", now=now)
    withdraw_planned(settings, ledger, now=now)


def withdraw_planned(settings: Settings, ledger: Ledger, *, now: dt.datetime) -> int:
    """Withdraw what is planned and, says the newest publication, fails a rule about who; returns how many messages.

    Invitations and reminders alike. A publication that stands on old facts withdraws nothing, nor does one that was
    built before it said so.
    """
    newest = ledger_builds.newest_publication(ledger)
    if newest is None or now - min(newest["as_of"], newest["known_at"]) > FRESH_FOR:
        return 0
    marts = settings.published_dir / f"marts-{newest['publication_id']}.duckdb"
    if not marts.exists():
        return 0
    with duckdb.connect(str(marts), read_only=True) as con:
        if not con.execute(_SAYS_WHAT_IS_WITHDRAWN).fetchone():
            return 0
        reason_of = dict(con.execute("select invitation_id, deciding_rule from marts.survey_withdrawals").fetchall())
    return withdraw(ledger, reason_of, now=now)


_SAYS_WHAT_IS_WITHDRAWN = """
select 1 as found from information_schema.tables where table_schema = 'marts' and table_name = 'survey_withdrawals'
"""


def checks_passed(ledger: Ledger, build_id: str) -> int:
    """How many required checks this build passed. Raises Refused when one failed, or a gate did not run."""
    checks = ledger_builds.checks_of(ledger, build_id)
    required = [check for check in checks if check["required"]]
    if failed := sorted(check["name"] for check in required if not check["passed"]):
        raise Refused(
            f"build {build_id} is not published: {len(failed)} required check(s) failed, first: {failed[0]}; "
            "readers keep the last publication"
        )
    if missing := [gate for gate in GATES if not any(check["gate"] == gate for check in required)]:
        raise Refused(f"build {build_id} is not published: no check of the gate(s) {', '.join(missing)} is recorded")
    return len(required)


def point_readers_at(settings: Settings, target: Path) -> None:
    """Swap the link that readers open, in one rename."""
    fresh = settings.published_dir / f".marts-{os.getpid()}.link"
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target.name)
    os.replace(fresh, settings.marts_file)
    folder = os.open(settings.published_dir, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def mend_link(settings: Settings) -> None:
    """After a crash between record and link: let readers see the newest recorded publication."""
    with Ledger.open(settings) as ledger:
        newest = ledger_builds.newest_publication(ledger)
    if newest is None:
        return
    target = settings.published_dir / f"marts-{newest['publication_id']}.duckdb"
    shown = settings.marts_file.resolve() if settings.marts_file.exists() else None
    if target.exists() and shown != target.resolve():
        point_readers_at(settings, target)


def _add_audit_row(marts: Path, audit: dict[str, object]) -> None:
    with duckdb.connect(str(marts)) as con:
        con.execute("set timezone = 'UTC'")
        con.execute("drop table main.build_token")
        names = ", ".join(audit)
        marks = ", ".join("?" for _ in audit)
        values = [
            v.astimezone(dt.UTC).replace(tzinfo=None) if isinstance(v, dt.datetime) else v for v in audit.values()
        ]
        con.execute(f"insert into marts.publication_audit ({names}) values ({marks})", values)


def keep_reports(marts: Path, folder: Path) -> dict[str, int]:
    """Copy the `rpt_*` tables, which hold no persons, into `folder` as Parquet; returns the rows of each."""
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(marts), read_only=True) as con:
        con.execute("use marts.marts" if marts.stem == "marts" else "use marts")  # a file may be called like its schema
        names = con.execute(
            "select table_name from information_schema.tables where table_schema = 'marts' and table_name like 'rpt%'"
        ).fetchall()
        return {
            name: con.execute(f"copy {name} to '{folder / name}.parquet' (format parquet)").fetchone()[0]
            for (name,) in names
        }


def _durable(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def kept_publications(settings: Settings) -> set[str]:
    """The publications whose files are still there."""
    return {path.stem.removeprefix("marts-") for path in settings.published_dir.glob("marts-*.duckdb")}


def _remove_old_files(folder: Path, *, keep: Path) -> None:
    files = sorted(folder.glob("marts-*.duckdb"), key=lambda path: path.stat().st_mtime, reverse=True)
    for path in files[KEPT_FILES:]:
        if path != keep:
            path.unlink()
    for draft in folder.glob("*.draft*"):
        draft.unlink(missing_ok=True)
