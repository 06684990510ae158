"""Suppressions and exclusions; and the record that publishing stands on."""

from __future__ import annotations

import datetime as dt

import pytest
from ledger_world import NOW, publish
from sqlalchemy import select

from closedloop.errors import BadInput, Refused
from closedloop.ledger import Ledger, builds, lists
from closedloop.ledger.schema import events

FACTS = {"as_of": NOW, "known_at": NOW, "definitions_hash": "d", "code_version": "c"}


def _build(ledger: Ledger, *checks: tuple[str, bool, bool]) -> str:
    builds.start_build(ledger, build_id="b", predecessor_id="genesis", cut={"crm.user": 7}, now=NOW, **FACTS)
    rows = [{"name": n, "gate": "arrived", "required": r, "passed": p, "details": {"rows": 1}} for n, r, p in checks]
    builds.record_checks(ledger, "b", rows, now=NOW)
    return "b"


def _publish(ledger: Ledger, checks_passed: int) -> None:
    builds.record_publication(
        ledger, publication_id="b", build_id="b", checks_passed=checks_passed, published_at=NOW, **FACTS
    )


def test_a_suppression_keeps_its_first_reason(ledger: Ledger):
    assert lists.suppress(ledger, {"k1", "k2"}, "opted_out", now=NOW) == 2
    with ledger.write() as conn:
        assert lists.suppress(conn, ["k2", "k3"], "bounced", now=NOW) == 1
    assert lists.suppress(ledger, [], "bounced", now=NOW) == 0
    with pytest.raises(BadInput):
        lists.suppress(ledger, ["k4"], "a whim", now=NOW)
    with ledger.read() as conn:
        assert len(conn.execute(select(events).where(events.c.kind == "suppressed_address")).all()) == 3


def test_the_exclusion_list(ledger: Ledger):
    entry = {"reason": "in litigation", "author": "Olga"}
    lists.exclude_add(ledger, "account", "a1", now=NOW, **entry)
    lists.exclude_add(ledger, "account", "a1", until=NOW + dt.timedelta(days=9), now=NOW, **entry)
    nine = NOW + dt.timedelta(days=9)
    assert [(row["subject_id"], row["until"], row["state"]) for row in lists.exclude_list(ledger, now=NOW)] == [
        ("a1", nine, "active")
    ]
    assert [row["state"] for row in lists.exclude_list(ledger, now=nine)] == ["ended"]
    lists.exclude_remove(ledger, "account", "a1", now=NOW)
    assert lists.exclude_list(ledger, now=NOW) == []
    with pytest.raises(BadInput):
        lists.exclude_remove(ledger, "account", "a1", now=NOW)
    for wrong in ({"subject": "planet"}, {"subject_id": " "}, {"until": NOW}):
        with pytest.raises(BadInput):
            lists.exclude_add(ledger, **{"subject": "contact", "subject_id": "c", "now": NOW, **entry, **wrong})


def test_a_build_is_published_only_on_its_own_passed_checks(ledger: Ledger):
    _build(ledger, ("a", True, True), ("b", True, False), ("c", False, False))
    with pytest.raises(Refused, match="1 required check"):
        _publish(ledger, 1)
    builds.record_checks(ledger, "b", [{"name": "b", "gate": "arrived", "required": True, "passed": True}], now=NOW)
    with pytest.raises(Refused, match="2 passed where 3 were expected"):
        _publish(ledger, 3)
    _publish(ledger, 2)
    with pytest.raises(Refused, match="published already"):
        _publish(ledger, 2)
    with pytest.raises(Refused, match="its checks stand"):
        builds.record_checks(ledger, "b", [{"name": "b", "gate": "x", "required": True, "passed": False}], now=NOW)


def test_a_build_without_checks_is_never_published(ledger: Ledger):
    _build(ledger)
    with pytest.raises(Refused):
        _publish(ledger, 0)


def test_builds_and_publications_are_listed_newest_first(ledger: Ledger):
    assert builds.newest_publication(ledger) is None
    first, second = publish(ledger, now=NOW), publish(ledger, now=NOW - dt.timedelta(days=1))
    assert builds.newest_publication(ledger)["publication_id"] == second  # by the ledger's order, not by a clock
    assert [row["publication_id"] for row in builds.list_publications(ledger)] == [second, first]
    assert builds.get_publication(ledger, "none") is None
    assert builds.get_build(ledger, first)["cut"] == {"crm.account": 1}
    with pytest.raises(BadInput):
        builds.get_build(ledger, "none")


def test_a_built_build_never_becomes_failed(ledger: Ledger):
    _build(ledger)
    builds.finish_build(ledger, "b", state="built", now=NOW)
    builds.finish_build(ledger, "b", state="failed", now=NOW)
    assert builds.list_builds(ledger)[0]["state"] == "built"
