"""HubSpot as a sink, against the stand-in with each fault on: each record once, and one bad record stops no other."""

from __future__ import annotations

import datetime as dt

import pytest
from hubspot_server import TOKEN, HubSpotServer
from ledger_world import NOW, candidate, plan

from closedloop.clock import Clock
from closedloop.hubspot import connect
from closedloop.ledger import Ledger, answers
from closedloop.ledger.actions import action_books, actions_of
from closedloop.settings import REPO, Settings
from dispatch.crm import load_write_back, write_back
from dispatch.crm.hubspot import LINK, HubSpotSink
from dispatch.followup import run_follow_up

HOUR = dt.timedelta(hours=1)
MAPPING = load_write_back(REPO / "mappings/write_back/hubspot.yml")


class At(Clock):
    def __init__(self, time: dt.datetime) -> None:
        self.time = time

    def now(self) -> dt.datetime:
        return self.time


@pytest.fixture
def account():
    """An account that has what the mapping writes to."""
    server = HubSpotServer()
    for part in (
        *(MAPPING.answer, MAPPING.contact, MAPPING.account, MAPPING.task, MAPPING.case, MAPPING.timeline),
        MAPPING.cause["deal_won"],
    ):
        server.has(part.object, part.key, *(name for name in part.fields if not name.endswith(LINK)))
    for kind, key in (
        *(("contacts", "ann"), ("contacts", "bob"), ("companies", "acme")),
        *(("deals", "deal-ann"), ("deals", "deal-bob")),
    ):
        server.put(kind, key)
    with server.running():
        yield server


@pytest.fixture
def connected(settings: Settings, account: HubSpotServer) -> Settings:
    return settings.model_copy(update={"hubspot_url": account.url, "hubspot_token": TOKEN})


def _answered(ledger: Ledger, settings: Settings, score: int, name: str = "ann") -> str:
    [invitation] = plan(ledger, [candidate(name)])
    with ledger.write() as conn:
        answers.record_answer(conn, invitation, score, comment="Slow", channel="email", judged="human", at=NOW, now=NOW)
    run_follow_up(ledger, settings, (), now=NOW)
    return invitation


def _write(ledger: Ledger, settings: Settings, at: dt.datetime = NOW):
    return write_back(ledger, HubSpotSink(connect(settings), now=at), MAPPING, clock=At(at))


def _ours(account: HubSpotServer, kind: str) -> list[str]:
    return sorted(row["properties"].get("closedloop_id", "") for row in account.objects[kind].values())


def test_an_answer_reaches_hubspot_once_and_belongs_to_its_contact(ledger, connected, account):
    invitation = _answered(ledger, connected, 5)
    assert _write(ledger, connected).done == 5
    assert _write(ledger, connected).done == 0
    assert _ours(account, "p_nps_responses") == [invitation]
    assert _ours(account, "tasks") == [f"{invitation}:detractor.task"]
    assert _ours(account, "notes") == [f"{invitation}:detractor.timeline"]
    assert _ours(account, "tickets") == [f"{invitation}:detractor.case"]
    ann = account.objects["contacts"]["ann"]["properties"]
    assert (ann["nps_last_score"], ann["nps_advocate"]) == ("5", "false")
    assert account.objects["deals"]["deal-ann"]["properties"]["nps_score"] == "5"
    assert account.objects["companies"]["acme"]["properties"]["nps_health_change"] == "-10"
    [task] = account.objects["tasks"]
    assert ("tasks", task, "contacts", "ann") in account.links and ("tasks", task, "companies", "acme") in account.links
    assert actions_of(ledger, invitation)["detractor.task"]["record_id"] == task
    assert account.objects["tasks"][task]["properties"]["hs_task_priority"] == "HIGH"
    assert account.objects["tasks"][task]["properties"]["hs_timestamp"].endswith(":00Z"), "a time as HubSpot writes it"


def test_what_passes_by_itself_is_tried_again(ledger, connected, account):
    _answered(ledger, connected, 5)
    account.fail("conflict", 2)
    report = _write(ledger, connected)
    assert report.later and not report.failed
    assert _write(ledger, connected, NOW + HOUR).later == 0
    assert all(book["done"] == 1 for book in action_books(ledger) if book["way"] == "crm")


def test_a_record_that_is_refused_stops_no_other(ledger, connected, account):
    del account.objects["contacts"]["bob"]
    ids = [_answered(ledger, connected, 8, name) for name in ("ann", "bob")]
    report = _write(ledger, connected)
    assert report.reasons == {"not associated: contacts": 3}, "answer, task, timeline"
    assert _ours(account, "p_nps_responses") == sorted(ids)
    assert account.objects["contacts"]["ann"]["properties"]["nps_last_score"] == "8"
    assert actions_of(ledger, ids[0])["record"]["state"] == "done"


def test_a_property_that_the_account_does_not_have_is_named(ledger, connected, account):
    del account.properties["tickets"]["content"]
    ids = [_answered(ledger, connected, 5, name) for name in ("ann", "bob")]
    report = _write(ledger, connected)
    assert report.reasons == {"VALIDATION_ERROR: content": 2}
    assert len(_ours(account, "tasks")) == 2 and actions_of(ledger, ids[0])["detractor.case"]["state"] == "failed"


@pytest.mark.parametrize("fault", ["secondly", "unavailable", "cut"])
def test_a_moment_of_trouble_is_waited_for(ledger, connected, account, fault):
    invitation = _answered(ledger, connected, 5)
    account.fail(fault)
    assert _write(ledger, connected).done == 5
    assert _ours(account, "p_nps_responses") == [invitation]


def test_a_daily_limit_stops_the_run_and_loses_nothing(ledger, connected, account):
    invitation = _answered(ledger, connected, 5)
    account.fail("daily")
    report = _write(ledger, connected)
    assert "DAILY" in report.stopped and (report.done, report.failed, report.later) == (0, 0, 5)
    account.faults.clear()
    assert _write(ledger, connected).done == 0, "after an hour"
    assert _write(ledger, connected, NOW + HOUR).done == 5
    assert _ours(account, "p_nps_responses") == [invitation]
