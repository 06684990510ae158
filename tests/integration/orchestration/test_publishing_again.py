"""A publication whose process died right after its record: publishing again does what was left."""

from __future__ import annotations

import datetime as dt

import duckdb
from ledger_world import candidate, plan
from sqlalchemy import select

from closedloop.ledger import Ledger, builds
from closedloop.ledger.schema import messages
from closedloop.settings import Settings
from orchestration.publish import publish


def test_readers_see_it_and_what_may_not_be_sent_is_withdrawn(
    settings: Settings, ledger: Ledger, now: dt.datetime
) -> None:
    ann, _ = plan(ledger, [candidate("ann"), candidate("bob")], now=now)
    facts = {"as_of": now, "known_at": now, "definitions_hash": "d", "code_version": "c"}
    builds.start_build(ledger, build_id="b2", predecessor_id="genesis", cut={}, now=now, **facts)
    check = {"name": "rows", "gate": "arrived", "required": True, "passed": True}
    builds.record_checks(ledger, "b2", [check], now=now)
    settings.published_dir.mkdir()
    with duckdb.connect(str(settings.published_dir / "marts-b2.duckdb")) as con:
        con.execute("create schema marts")
        con.execute(
            "create table marts.survey_withdrawals as select ? as invitation_id, 'opted_out' as deciding_rule", [ann]
        )
    builds.record_publication(ledger, publication_id="b2", build_id="b2", checks_passed=1, published_at=now, **facts)

    assert publish(settings, "b2", now=now) == "b2"
    assert settings.marts_file.resolve().name == "marts-b2.duckdb"
    assert builds.get_build(ledger, "b2")["state"] == "built"
    with ledger.read() as conn:
        states = dict(conn.execute(select(messages.c.contact_id, messages.c.state)).tuples().all())
    assert states == {"ann": "suppressed", "bob": "pending"}
