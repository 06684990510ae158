"""Salesforce as a source, against the stand-in with each fault on: nothing lost, nothing doubled, clear words."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import duckdb
import pytest
from ledger_world import candidate, plan
from salesforce_server import SalesforceServer, stamp

from closedloop.clock import Clock
from closedloop.errors import BadInput
from closedloop.lake import Lake
from closedloop.ledger import Ledger, answers
from closedloop.ledger.followups import course_of, list_followups, reopen
from closedloop.settings import Settings
from dispatch.followup import run_follow_up
from ingestion.sources import salesforce as source
from orchestration.work import ingest_changes

NOW = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


class At(Clock):
    def __init__(self, time: dt.datetime) -> None:
        self.time = time

    def now(self) -> dt.datetime:
        return self.time


@pytest.fixture
def org():
    server = SalesforceServer()
    server.put("Account", Id="001A", Name="Acme", Tier__c="Enterprise", OwnerId="005A", Wild__c="7")
    server.put("Contact", Id="003A", AccountId="001A", FirstName="Ada", LastName="Ann", Email="ada@customer.example")
    server.put("User", Id="005A", Name="Olga", Email="olga@closedloop.example", IsActive=True)
    with server.running():
        yield server


@pytest.fixture
def connected(tmp_path: Path, org: SalesforceServer) -> Settings:
    return Settings(
        home=tmp_path / "home",
        salesforce_url=org.url,
        salesforce_client_id="key",
        salesforce_client_secret="secret",
        _env_file=None,
    )


def _read(settings: Settings, at: dt.datetime = NOW + HOUR, **options):
    return ingest_changes(settings, "salesforce", clock=At(at), **options)


def _rows(settings: Settings, name: str) -> list[tuple]:
    with Lake.open(settings) as lake, duckdb.connect() as con:
        query = f"select Id, Name, IsDeleted from ({lake.select(f'crm.{name}', lake.cut())}) order by Id, _exported_at"
        return con.execute(query).fetchall()


def test_what_there_is_and_then_only_what_changed(connected, org):
    report = _read(connected)
    assert (report.fetched["account"], report.stopped) == (1, None)
    assert any("Opportunity: not there" in warning for warning in report.warnings)
    assert any("Account: without" in warning for warning in report.warnings)
    assert _rows(connected, "account") == [("001A", "Acme", "false")]
    with Lake.open(connected) as lake, duckdb.connect() as con:
        selected = lake.select("crm.account", lake.cut())
        assert con.execute(f"select Wild__c from ({selected})").fetchall() == [("7",)], "a field of their own lands too"
    again = _read(connected, NOW + 2 * HOUR)
    assert again.crm is None or not any(row.loaded for row in again.crm.objects.values()), "the overlap changes nothing"
    org.now = NOW + 3 * HOUR
    org.put("Account", Id="001A", Name="Acme & Sons")
    org.put("Account", Id="001B", Name="Beta")
    org.delete("Contact", "003A")
    report = _read(connected, NOW + 4 * HOUR)
    assert _rows(connected, "account") == [
        ("001A", "Acme", "false"),
        ("001A", "Acme & Sons", "false"),
        ("001B", "Beta", "false"),
    ]
    with Lake.open(connected) as lake, duckdb.connect() as con:
        deleted = con.execute(f"select IsDeleted from ({lake.select('crm.contact', lake.cut())}) order by _exported_at")
        assert deleted.fetchall() == [("false",), ("true",)]


def test_pages_that_are_cut_and_places_that_are_lost(connected, org):
    org.page = 10
    for number in range(55):
        org.put("Account", Name=f"Company {number}")
    org.fail("cut", 2)
    org.fail("locator", 1)
    org.fail("unavailable", 1)
    assert _read(connected).fetched["account"] == 56
    assert len(_rows(connected, "account")) == 56


def test_a_bulk_job_with_a_chunk_that_is_cut_and_a_session_that_ends(connected, org, monkeypatch):
    monkeypatch.setattr(source, "BULK_FROM", 20)
    monkeypatch.setattr(source, "CHUNK", 15)
    monkeypatch.setattr(source, "POLL_SECONDS", 0.0)
    for number in range(50):
        org.put("Account", Name=f'Company "{number}",\nLtd')
    org.fail("cut", 2)
    org.fail("expired", 1)
    assert _read(connected).fetched["account"] == 51
    rows = _rows(connected, "account")
    assert len(rows) == len({key for key, *_ in rows}) == 51
    assert any(name == 'Company "7",\nLtd' for _, name, _ in rows)


def test_a_limit_stops_it_and_the_next_run_goes_on(connected, org):
    login_and_account = 2  # describe and query
    org.calls.clear()

    class Limited(type(org.faults)):
        def __getitem__(self, fault):
            spent = sum(count for name, count in org.calls.items() if name != "login")
            return 1 if fault == "limit" and spent >= login_and_account else 0

    org.faults, faults = Limited(), org.faults
    report = _read(connected)
    assert report.stopped == "REQUEST_LIMIT_EXCEEDED"
    assert report.fetched == {"account": 1} and len(_rows(connected, "account")) == 1, "what was whole is loaded"
    org.faults = faults
    report = _read(connected, NOW + 2 * HOUR)
    assert report.stopped is None and report.fetched["contact"] == 1


def test_an_object_that_is_demanded_and_not_there(connected, org):
    del org.fields["Contact"]
    with pytest.raises(BadInput, match="no object Contact"):
        _read(connected)


def test_a_field_that_is_no_date_any_more_is_told(connected, org):
    org.put("Account", Id="001A", RenewalDate__c="soon")
    report = _read(connected)
    assert any("RenewalDate__c: no date any more" in warning for warning in report.warnings)
    assert report.crm.objects["account"].quarantined, "it waits there, and the next one may be readable again"


def test_a_transaction_that_took_long_is_not_skipped(connected, org):
    _read(connected)
    org.put("Account", Id="001C", Name="Late", SystemModstamp=stamp(NOW - dt.timedelta(minutes=8)))
    _read(connected, NOW + 2 * HOUR)
    assert ("001C", "Late", "false") in _rows(connected, "account")


def test_a_task_that_was_closed_in_the_crm_is_the_first_contact(connected, org):
    invitation = _waiting_for_contact(connected)
    key = f"{invitation}:detractor.task"
    task = {"Subject": "Follow up", "OwnerId": "005A", "Closedloop_Id__c": key, "Status": "Not Started"}
    org.put("Task", Id="00T1", **task, IsClosed=False, CompletedDateTime=None)
    org.put("Task", Id="00T2", **task | {"Closedloop_Id__c": "another"}, IsClosed=True, CompletedDateTime=stamp(NOW))
    _read(connected)
    with Ledger.open(connected) as ledger:
        assert list_followups(ledger)[0]["first_contact_at"] is None
    org.now = NOW + 5 * HOUR
    org.put("Task", Id="00T1", Status="Completed", IsClosed=True, CompletedDateTime=stamp(NOW + 5 * HOUR))
    _read(connected, NOW + 6 * HOUR)
    _read(connected, NOW + 7 * HOUR)
    with Ledger.open(connected) as ledger, ledger.read() as conn:
        [row] = list_followups(ledger)
        course = course_of(conn, invitation)
    assert (row["first_contact_at"], row["status"]) == (NOW + 5 * HOUR, "acknowledged")
    [contact] = [one for one in course if one["kind"] == "first_contact"]
    assert contact["payload"] == {"by": "005A", "note": "Task closed in the CRM"}


@pytest.mark.parametrize(
    ("said", "status", "outcome", "contacted"),
    [
        ("Resolved", "closed", "resolved", True),
        ("Partially Resolved", "closed", "partially_resolved", True),
        ("No Response from Customer", "closed", "no_response", False),
        ("Something else", "acknowledged", None, True),
        (None, "acknowledged", None, True),
    ],
)
def test_the_outcome_of_a_task_closes_the_follow_up(connected, org, said, status, outcome, contacted):
    invitation = _waiting_for_contact(connected)
    closed = NOW + 5 * HOUR
    org.now = closed
    task = {"OwnerId": "005A", "Closedloop_Id__c": f"{invitation}:detractor.task", "NPS_Outcome__c": said}
    org.put("Task", Id="00T1", **task, IsClosed=True, CompletedDateTime=stamp(closed))
    report = _read(connected, NOW + 6 * HOUR)
    with Ledger.open(connected) as ledger:
        [row] = list_followups(ledger, include_closed=True)
        assert (row["status"], row["outcome"]) == (status, outcome)
        assert (row["first_contact_at"], row["closed_at"]) == (
            closed if contacted else None,
            closed if outcome else None,
        )
        warned = [warning for warning in report.crm.warnings if "outcome" in str(warning)]
        assert bool(warned) == (said == "Something else")
        assert said is None or all(said not in str(warning) for warning in warned), "a value may be anything"


def test_who_reopens_a_follow_up_is_not_overruled_by_the_old_task(connected, org):
    invitation = _waiting_for_contact(connected)
    org.now = NOW + HOUR
    task = {"OwnerId": "005A", "Closedloop_Id__c": f"{invitation}:detractor.task", "NPS_Outcome__c": "Resolved"}
    org.put("Task", Id="00T1", **task, IsClosed=True, CompletedDateTime=stamp(NOW + HOUR))
    _read(connected, NOW + 2 * HOUR)
    with Ledger.open(connected) as ledger, ledger.write() as conn:
        reopen(conn, invitation, at=NOW + 3 * HOUR, by="Olga", why="It broke again", now=NOW + 3 * HOUR)
    org.put("Account", Id="001A", Name="Acme Again")
    _read(connected, NOW + 4 * HOUR)
    with Ledger.open(connected) as ledger:
        assert list_followups(ledger)[0]["status"] == "investigating"
    org.now = NOW + 5 * HOUR
    org.put("Task", Id="00T1", NPS_Outcome__c="Unresolvable", CompletedDateTime=stamp(NOW + 5 * HOUR))
    _read(connected, NOW + 6 * HOUR)
    with Ledger.open(connected) as ledger:
        assert list_followups(ledger, include_closed=True)[0]["outcome"] == "unresolvable"


def _waiting_for_contact(settings: Settings) -> str:
    """An invitation whose follow-up waits for the first contact."""
    settings.ensure_home()
    with Ledger.open(settings) as ledger:
        [invitation] = plan(ledger, [candidate("ann", now=NOW)], now=NOW)
        with ledger.write() as conn:
            answers.record_answer(conn, invitation, 3, channel="email", judged="human", at=NOW, now=NOW)
        run_follow_up(ledger, settings, (), now=NOW)
    return invitation
