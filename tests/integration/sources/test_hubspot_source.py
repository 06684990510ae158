"""HubSpot as a source, against the stand-in with each fault on: nothing lost, nothing doubled, clear words."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest
from hubspot_server import TOKEN, HubSpotServer, stamp
from ledger_world import candidate, plan

from closedloop.clock import Clock
from closedloop.errors import BadInput
from closedloop.lake import Lake
from closedloop.ledger import Ledger, answers
from closedloop.ledger.followups import course_of, list_followups
from closedloop.settings import REPO, Settings
from dispatch.followup import run_follow_up
from ingestion.sources import hubspot as source
from orchestration.work import ingest_changes

NOW = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


class At(Clock):
    def __init__(self, time: dt.datetime) -> None:
        self.time = time

    def now(self) -> dt.datetime:
        return self.time


@pytest.fixture
def account():
    server = HubSpotServer()
    server.put("companies", "11", name="Acme", hubspot_owner_id="7")
    server.has("companies", "customer_wish", own=True)
    server.put("companies", "11", customer_wish="speed")
    server.has("contacts", "hs_never_read")
    server.put("contacts", "21", firstname="Ada", lastname="Ann", email="ada@customer.example", hs_never_read="x")
    server.put("deals", "31", dealname="Renewal", hs_is_closed_won="true", hs_is_closed="true", closedate=stamp(NOW))
    server.link("contacts", "21", "companies", "11")
    server.link("deals", "31", "companies", "11")
    server.link("deals", "31", "contacts", "21")
    staff = {"createdAt": stamp(NOW), "updatedAt": stamp(NOW), "userId": 1}
    server.owners = [
        {
            "id": "7",
            "email": "olga@closedloop.example",
            "firstName": "Olga",
            "lastName": "O",
            "archived": False,
            **staff,
        },
        {"id": "8", "email": "left@closedloop.example", "firstName": "Lea", "lastName": "L", "archived": True, **staff},
    ]
    with server.running():
        yield server


@pytest.fixture
def connected(tmp_path: Path, account: HubSpotServer) -> Settings:
    return Settings(
        home=tmp_path / "home",
        hubspot_url=account.url,
        hubspot_token=TOKEN,
        mapping=REPO / "mappings" / "hubspot.yml",
        write_back=REPO / "mappings" / "write_back" / "hubspot.yml",
        _env_file=None,
    )


def _read(settings: Settings, at: dt.datetime = NOW + HOUR, **options):
    return ingest_changes(settings, "hubspot", clock=At(at), **options)


def _rows(settings: Settings, name: str, columns: str) -> list[tuple]:
    with Lake.open(settings) as lake, duckdb.connect() as con:
        query = f"select {columns} from ({lake.select(f'crm.{name}', lake.cut())}) order by _exported_at, Id"
        return con.execute(query).fetchall()


def test_what_there_is(connected, account):
    report = _read(connected)
    assert report.stopped is None and not report.crm.errors
    assert _rows(connected, "account", "Id, Name, OwnerId, customer_wish") == [("11", "Acme", "7", "speed")]
    assert _rows(connected, "contact", "Id, Email, AccountId, IsDeleted") == [
        ("21", "ada@customer.example", "11", "false")
    ]
    assert _rows(connected, "opportunity", "Id, IsWon, AccountId, CloseDate") == [("31", "true", "11", "2026-03-02")]
    assert _rows(connected, "opportunity_contact_role", "OpportunityId, ContactId, IsPrimary") == [("31", "21", "true")]
    assert _rows(connected, "user", "Id, Name, IsActive") == [("7", "Olga O", "true"), ("8", "Lea L", "false")]
    assert any("tickets: not there" in warning for warning in report.warnings)
    assert any("companies: without" in warning and "Tier__c" in warning for warning in report.warnings)
    with Lake.open(connected) as lake:
        assert "hs_never_read" not in lake.select("crm.contact", lake.cut())


def test_then_only_what_changed_and_what_was_deleted(connected, account):
    _read(connected)
    again = _read(connected, NOW + 2 * HOUR)
    assert again.crm is None or not any(row.loaded for row in again.crm.objects.values()), "the overlap changes nothing"
    account.now = NOW + 3 * HOUR
    account.put("companies", "11", name="Acme & Sons")
    account.archive("contacts", "21")
    report = _read(connected, NOW + 4 * HOUR)
    assert (report.fetched["account"], report.fetched["contact"]) == (1, 1)
    assert [name for (name,) in _rows(connected, "account", "Name")] == ["Acme", "Acme & Sons"]
    assert [gone for (gone,) in _rows(connected, "contact", "IsDeleted")] == ["false", "true"]
    _read(connected, NOW + 5 * HOUR)
    assert len(_rows(connected, "contact", "Id")) == 2


def test_many_records_whose_times_are_the_same(connected, account, monkeypatch):
    monkeypatch.setattr(source, "PAGE", 7)
    monkeypatch.setattr("hubspot_server.SEARCHED", 7)
    for number in range(50):
        account.put("companies", str(100 + number), name=f"Company {number}")
    account.fail("cut", 2)
    account.fail("secondly", 1)
    account.fail("unavailable", 1)
    assert _read(connected).fetched["account"] == 51
    assert len(_rows(connected, "account", "Id")) == 51


def test_what_changes_while_the_rest_is_read_is_not_skipped(connected, account, monkeypatch):
    """The first is changed behind the reader's back, the last much later, before it is read."""
    monkeypatch.setattr(source, "PAGE", 1)
    account.put("companies", "12", name="Beta")
    pages = iter(range(100))

    def meanwhile() -> None:
        page = next(pages)
        if page == 0:
            account.now = NOW + 2 * HOUR
            account.put("companies", "11", name="Acme Changed")
            account.now = NOW + 3 * HOUR
            account.put("companies", "12", name="Beta Changed")

    account.meanwhile = meanwhile
    _read(connected)
    account.meanwhile = lambda: None
    _read(connected, NOW + 4 * HOUR)
    names = {name for (name,) in _rows(connected, "account", "Name")}
    assert {"Acme", "Acme Changed", "Beta Changed"} <= names


def test_a_daily_limit_stops_the_run_and_the_next_goes_on(connected, account):
    account.fail("daily")
    report = _read(connected)
    assert "DAILY" in report.stopped and not any(report.fetched.values())
    account.faults.clear()
    assert _read(connected).fetched["account"] == 1


def test_a_token_that_is_refused_and_none(connected, account):
    account.fail("token", 99)
    with pytest.raises(BadInput, match="INVALID_AUTHENTICATION"):
        _read(connected)
    with pytest.raises(BadInput, match="CLOSEDLOOP_HUBSPOT_TOKEN"):
        _read(connected.model_copy(update={"hubspot_token": ""}))


def test_a_task_that_is_closed_there_is_the_first_contact(connected, account):
    _read(connected)
    with Ledger.open(connected) as ledger:
        [invitation] = plan(ledger, [candidate("ann")])
        with ledger.write() as conn:
            answers.record_answer(conn, invitation, 3, comment=None, channel="email", judged="human", at=NOW, now=NOW)
        run_follow_up(ledger, connected, (), now=NOW)
    account.has("tasks", "closedloop_id", own=True)
    account.now = NOW + 2 * HOUR
    account.put(
        "tasks",
        "41",
        hs_task_status="COMPLETED",
        hs_task_completion_date=stamp(NOW + HOUR),
        hubspot_owner_id="7",
        closedloop_id=f"{invitation}:detractor.task",
    )
    _read(connected, NOW + 3 * HOUR)
    with Ledger.open(connected) as ledger, ledger.read() as conn:
        [row] = list_followups(ledger)
        [contact] = [one for one in course_of(conn, invitation) if one["kind"] == "first_contact"]
    assert (row["first_contact_at"], row["status"]) == (NOW + HOUR, "acknowledged")
    assert contact["payload"] == {"by": "7", "note": "Task closed in the CRM"}
