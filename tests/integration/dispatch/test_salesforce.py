"""Salesforce as a sink, against the stand-in with each fault on; and the stand-in against replies that Salesforce gave."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from ledger_world import NOW, candidate, plan
from salesforce_server import SalesforceServer

from closedloop.clock import Clock
from closedloop.errors import BadInput
from closedloop.ledger import Ledger, answers
from closedloop.ledger.actions import CRM, Action, action_books, actions_of, plan_actions
from closedloop.salesforce import connect
from closedloop.settings import REPO, Settings
from dispatch.crm import load_write_back, write_back
from dispatch.crm import salesforce as crm_salesforce
from dispatch.crm.salesforce import SalesforceSink
from dispatch.followup import run_follow_up

HOUR = dt.timedelta(hours=1)
MAPPING = load_write_back(REPO / "mappings/write_back/salesforce.yml")
SUPPORT = Path(__file__).resolve().parents[2] / "support"


class At(Clock):
    def __init__(self, time: dt.datetime) -> None:
        self.time = time

    def now(self) -> dt.datetime:
        return self.time


@pytest.fixture
def org():
    """An organisation that has what the mapping writes to."""
    server = SalesforceServer()
    for part in (
        MAPPING.answer,
        MAPPING.contact,
        MAPPING.account,
        MAPPING.task,
        MAPPING.case,
        MAPPING.timeline,
        MAPPING.cause["deal_won"],
    ):
        known = server.fields.setdefault(
            part.object, dict.fromkeys(("Id", "CreatedDate", "SystemModstamp", "IsDeleted"), "string")
        )
        known |= dict.fromkeys((part.key, *part.fields), "string")
    for name, key in (
        ("Contact", "ann"),
        ("Contact", "bob"),
        ("Account", "acme"),
        ("Opportunity", "deal-ann"),
        ("Opportunity", "deal-bob"),
    ):
        server.put(name, Id=key)
    with server.running():
        yield server


@pytest.fixture
def connected(settings: Settings, org: SalesforceServer) -> Settings:
    return settings.model_copy(
        update={"salesforce_url": org.url, "salesforce_client_id": "key", "salesforce_client_secret": "secret"}
    )


def _answered(ledger: Ledger, settings: Settings, score: int, name: str = "ann") -> str:
    [invitation] = plan(ledger, [candidate(name)])
    with ledger.write() as conn:
        answers.record_answer(conn, invitation, score, comment="Slow", channel="email", judged="human", at=NOW, now=NOW)
    run_follow_up(ledger, settings, (), now=NOW)
    return invitation


def _write(ledger: Ledger, settings: Settings, at: dt.datetime = NOW):
    return write_back(ledger, SalesforceSink(connect(settings), now=at), MAPPING, clock=At(at))


def _ours(org: SalesforceServer) -> dict[str, list[str]]:
    return {
        name: sorted(row["Closedloop_Id__c"] for row in org.objects[name].values() if row.get("Closedloop_Id__c"))
        for name in ("NPS_Response__c", "Task", "Case")
    }


def test_an_answer_reaches_salesforce_once(ledger, connected, org):
    invitation = _answered(ledger, connected, 5)
    assert _write(ledger, connected).done == 5
    assert _write(ledger, connected).done == 0
    assert _ours(org) == {
        "NPS_Response__c": [invitation],
        "Task": [f"{invitation}:detractor.task", f"{invitation}:detractor.timeline"],
        "Case": [f"{invitation}:detractor.case"],
    }
    assert org.objects["Contact"]["ann"]["NPS_Last_Score__c"] == 5, "a number stays a number"
    assert org.objects["Contact"]["ann"]["NPS_Advocate__c"] is False
    assert org.objects["Contact"]["ann"]["NPS_Advocate_Since__c"] is None, "what is empty is cleared"
    assert org.objects["Opportunity"]["deal-ann"]["NPS_Score__c"] == 5
    assert org.objects["Account"]["acme"]["NPS_Health_Change__c"] == -10
    [task] = [row for row in org.objects["Task"].values() if row["Status"] == "Not Started"]
    assert actions_of(ledger, invitation)["detractor.task"]["record_id"] == task["Id"]


@pytest.mark.parametrize("fault", ["lock", "duplicate"])
def test_what_passes_by_itself_is_tried_again(ledger, connected, org, fault):
    _answered(ledger, connected, 5)
    org.fail(fault, 2)
    report = _write(ledger, connected)
    assert report.later and not report.failed
    assert _write(ledger, connected, NOW + HOUR).later == 0
    assert all(book["done"] == 1 for book in action_books(ledger) if book["way"] == "crm")


def test_a_record_that_is_refused_stops_no_other(ledger, connected, org):
    org.required["Case"] = {"SuppliedEmail"}
    ids = [_answered(ledger, connected, score, name) for name, score in (("ann", 5), ("bob", 10))]
    report = _write(ledger, connected)
    assert (report.failed, report.reasons) == (1, {"REQUIRED_FIELD_MISSING: SuppliedEmail": 1})
    assert actions_of(ledger, ids[0])["detractor.case"]["state"] == "failed"
    assert len(_ours(org)["NPS_Response__c"]) == 2


def test_a_field_that_the_organisation_does_not_have_is_named(ledger, connected, org):
    del org.fields["Task"]["NPS_Colour__c"]
    _answered(ledger, connected, 5)
    assert _write(ledger, connected).reasons == {"INVALID_FIELD: NPS_Colour__c": 1}


def test_an_object_that_is_not_there(ledger, connected, org):
    del org.fields["NPS_Response__c"]
    invitation = _answered(ledger, connected, 8)
    report = _write(ledger, connected)
    assert report.failed == 1 and actions_of(ledger, invitation)["record"]["reason"].endswith("(NOT_FOUND)")
    assert report.done == 3


def test_an_expired_session_is_renewed(ledger, connected, org):
    _answered(ledger, connected, 5)
    org.fail("expired", 2)
    assert _write(ledger, connected).done == 5
    assert org.calls["login"] == 3


@pytest.mark.parametrize(("fault", "waits"), [("limit", HOUR), ("unavailable", dt.timedelta(minutes=1))])
def test_a_limit_or_a_server_that_is_away_stops_the_run_and_loses_nothing(ledger, connected, org, fault, waits):
    _answered(ledger, connected, 5)
    sink = SalesforceSink(connect(connected), now=NOW)
    org.fail(fault)
    report = write_back(ledger, sink, MAPPING, clock=At(NOW))
    assert report.stopped in ("REQUEST_LIMIT_EXCEEDED", "SERVER_UNAVAILABLE")
    assert (report.later, report.done) == (5, 0)
    assert _write(ledger, connected, NOW + waits).done == 5


def test_the_jwt_bearer_flow(ledger, settings, org, tmp_path: Path):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM
    file = tmp_path / "key.pem"
    file.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    org.public_key = key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    signed = settings.model_copy(
        update={
            "salesforce_url": org.url,
            "salesforce_client_id": "key",
            "salesforce_username": "robot@closedloop.example",
            "salesforce_private_key_file": file,
        }
    )
    _answered(ledger, signed, 8)
    assert _write(ledger, signed).done == 4
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file.write_bytes(other.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    with pytest.raises(BadInput, match="invalid_grant"):
        connect(signed)


def test_a_login_that_is_refused_says_what_to_do(connected):
    wrong = connected.model_copy(update={"salesforce_client_secret": "wrong"})
    with pytest.raises(BadInput, match=r"invalid_client(.|\n)*connected app"):
        connect(wrong)
    with pytest.raises(BadInput, match="no Salesforce is set"):
        connect(connected.model_copy(update={"salesforce_url": ""}))


KILLED = """
import os, signal, sys
from pathlib import Path
from closedloop.clock import Clock
from closedloop.ledger import Ledger
from closedloop.ledger import actions
from closedloop.salesforce import connect
from closedloop.settings import REPO, Settings
from dispatch.crm import load_write_back, write_back
from dispatch.crm import salesforce as crm_salesforce
from dispatch.crm.salesforce import SalesforceSink

home, url, where = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
calls = 0

class Sink(SalesforceSink):
    def _call(self, records):
        global calls
        if calls == where:
            os.kill(os.getpid(), signal.SIGKILL)
        calls += 1
        return super()._call(records)

settings = Settings(home=home, salesforce_url=url, salesforce_client_id="key", salesforce_client_secret="secret", _env_file=None)
if where == 99:
    actions.finish = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
with Ledger.open(settings) as ledger:
    clock = Clock()
    write_back(ledger, Sink(connect(settings), now=clock.now()), load_write_back(REPO / "mappings/write_back/salesforce.yml"), clock=clock)
"""


@pytest.mark.parametrize("where", [0, 2, 5, 99])
def test_killed_between_any_two_calls_every_record_is_there_once(tmp_path: Path, org, where: int):
    settings = Settings(
        home=tmp_path / "home",
        salesforce_url=org.url,
        salesforce_client_id="key",
        salesforce_client_secret="secret",
        _env_file=None,
    )
    settings.ensure_home()
    with Ledger.open(settings) as ledger:
        ids = [_answered(ledger, settings, score, name) for name, score in (("ann", 2), ("bob", 9))]
    words = [sys.executable, "-c", KILLED, str(settings.home), org.url, str(where)]
    assert subprocess.run(words, cwd=REPO, env=os.environ).returncode == -signal.SIGKILL
    with Ledger.open(settings) as ledger:
        _write(ledger, settings, Clock().now() + dt.timedelta(minutes=12))
        done = {book["action"]: book["done"] for book in action_books(ledger) if book["way"] == "crm"}
    ours = _ours(org)
    assert ours["NPS_Response__c"] == sorted(ids) and done["record"] == 2
    assert (
        len(ours["Task"])
        == len(set(ours["Task"]))
        == sum(count for name, count in done.items() if name.endswith((".task", ".timeline")))
    )
    assert ours["Case"] == [f"{ids[0]}:detractor.case"]


NOTIFY = """
notification:
  object: CustomNotification
  key: id
  fields:
    customNotifTypeId: {value: 0ML1}
    recipientIds: recipient_id
    title: {from: subject, longest: 250}
    body: {from: subject, longest: 750}
    targetId: account_id
"""


def test_a_push_message_reaches_the_owner(ledger, connected, org, tmp_path):
    path = tmp_path / "write_back.yml"
    path.write_text((REPO / "mappings/write_back/salesforce.yml").read_text() + NOTIFY)
    [invitation] = plan(ledger, [candidate("ann")])
    with ledger.write() as conn:
        answers.record_answer(conn, invitation, 2, comment="Slow", channel="email", judged="human", at=NOW, now=NOW)
        given = {"recipient_id": "005A", "subject": "NPS 2 at Acme", "account_id": "acme"}
        actions = [
            Action("detractor.notify", CRM, given),
            Action("detractor.notify-2", CRM, given | {"recipient_id": ""}),
        ]
        about = {"invitation_id": invitation, "contact_id": "ann", "account_id": "acme", "survey_id": "pulse"}
        plan_actions(conn, about, actions, now=NOW)
    report = write_back(ledger, SalesforceSink(connect(connected), now=NOW), load_write_back(path), clock=At(NOW))
    assert (report.done, report.reasons) == (1, {"the notification was refused": 1})
    [sent] = org.notified
    assert (sent["recipientIds"], sent["title"], sent["targetId"]) == (["005A"], "NPS 2 at Acme", "acme")


@pytest.fixture
def by_jobs(monkeypatch):
    """Two records of a kind are many."""
    monkeypatch.setattr(crm_salesforce, "BULK_FROM", 2)
    monkeypatch.setattr(crm_salesforce, "POLL_SECONDS", 0.0)


def test_many_go_out_by_jobs(ledger, connected, org, by_jobs):
    ids = [_answered(ledger, connected, score, name) for name, score in (("ann", 5), ("bob", 4))]
    report = _write(ledger, connected)
    assert report.failed == report.later == 0
    assert _ours(org)["NPS_Response__c"] == sorted(ids)
    assert org.calls["POST jobs"] == 6, "answers, contacts, causes, tasks, timeline, cases; accounts are one record"
    ann = org.objects["Contact"]["ann"]
    assert (ann["NPS_Last_Score__c"], ann["NPS_Advocate__c"], ann["NPS_Advocate_Since__c"]) == ("5", "false", None)
    record = next(row for row in org.objects["NPS_Response__c"].values() if row["Closedloop_Id__c"] == ids[0])
    assert actions_of(ledger, ids[0])["record"]["record_id"] == record["Id"]


@pytest.mark.parametrize("fault", ["lock", "duplicate", "job", "expired"])
def test_what_a_job_does_not_do_goes_out_in_collections(ledger, connected, org, by_jobs, fault):
    ids = [_answered(ledger, connected, 5, name) for name in ("ann", "bob")]
    sink = SalesforceSink(connect(connected), now=NOW)
    org.fail(fault)
    report = write_back(ledger, sink, MAPPING, clock=At(NOW))
    assert report.failed == report.later == 0 and report.done
    assert org.calls["PATCH composite"] > 1, "the accounts are one record, and what the job did not do"
    assert _ours(org)["NPS_Response__c"] == sorted(ids) and len(_ours(org)["Task"]) == 4


def test_a_job_that_one_field_spoils_names_it_and_the_rest_is_written(ledger, connected, org, by_jobs):
    del org.fields["Task"]["NPS_Colour__c"]
    ids = [_answered(ledger, connected, 5, name) for name in ("ann", "bob")]
    assert _write(ledger, connected).reasons == {"INVALID_FIELD: NPS_Colour__c": 2}
    assert len(_ours(org)["Task"]) == 2 and _ours(org)["NPS_Response__c"] == sorted(ids)


def _recorded() -> list[dict]:
    return json.loads((SUPPORT / "salesforce_recorded.json").read_text())["replies"]


def _reply(part: str, status: int) -> dict:
    return next(one for one in _recorded() if part in one["request"]["url"] and one["response"]["status"] == status)[
        "response"
    ]


@pytest.fixture
def raw(org):
    """Calls of the stand-in without a client in between."""
    org.put("Account", Id="001000000000001AAA", Name="Acme", Type="Customer", Industry="Energy")
    token = requests.post(
        f"{org.url}/services/oauth2/token", data={"grant_type": "client_credentials"}, auth=("key", "secret")
    ).json()
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token['access_token']}"
    return lambda path, method="GET", **more: session.request(method, f"{org.url}/services/data/v62.0/{path}", **more)


@pytest.mark.parametrize(
    ("soql", "part", "status"),
    [
        ("SELECT Name FROM Account", "SELECT Name FROM Account", 200),
        ("SELEKT Name FROM Account", "SELEKT", 400),
        ("SELECT Bacon__c FROM Account LIMIT 2", "Bacon__c", 400),
    ],
)
def test_queries_are_answered_as_salesforce_answered(raw, soql, part, status):
    recorded, reply = _reply(part, status), raw("query", params={"q": soql})
    assert reply.status_code == recorded["status"]
    assert reply.headers["Content-Type"] == recorded["headers"]["Content-Type"]
    theirs, ours = json.loads(recorded["body"]), reply.json()
    if status == 200:
        assert ours.keys() == theirs.keys()
        assert ours["records"][0].keys() == theirs["records"][0].keys()
        assert ours["records"][0]["attributes"].keys() == theirs["records"][0]["attributes"].keys()
    else:
        assert ours[0].keys() == theirs[0].keys() and ours[0]["errorCode"] == theirs[0]["errorCode"]
        assert ours[0]["message"].split("\n")[0] == theirs[0]["message"].split("\n")[0]


def test_pages_are_cut_as_salesforce_cuts_them(raw, org):
    for number in range(5):
        org.put("Account", Name=f"Company {number}")
    org.page = 2
    recorded = json.loads(_reply("RANDOM_1__c", 200)["body"])
    first = raw("query", params={"q": "SELECT Name FROM Account"}).json()
    assert first.keys() == recorded.keys() and first["done"] is recorded["done"] is False
    pattern = r"/services/data/v[0-9]+\.0/query/01g\w+-[0-9]+"
    import re

    assert re.fullmatch(pattern, first["nextRecordsUrl"]) and re.fullmatch(pattern, recorded["nextRecordsUrl"])


@pytest.mark.parametrize(("fault", "status"), [("expired", 401), ("limit", 403)])
def test_refusals_are_those_of_salesforce(raw, org, fault, status):
    recorded = next(one for one in _recorded() if one["response"]["status"] == status)["response"]
    org.fail(fault)
    reply = raw("query", params={"q": "SELECT Name FROM Account"})
    assert (reply.status_code, reply.json()) == (status, json.loads(recorded["body"]))


def test_a_bulk_query_goes_as_it_went(raw, org):
    for number in range(12):
        org.put("Account", Name=f"Company {number}", Type="Customer", Industry="Energy")
    org.page = 10
    wanted = {"operation": "query", "query": "SELECT Name, Type, Industry FROM Account", "contentType": "CSV"}
    made = raw("jobs/query", "POST", json=wanted)
    recorded = json.loads(_reply("jobs/query", 200)["body"])
    assert made.json().keys() == recorded.keys() and made.json()["state"] == recorded["state"]
    job = made.json()["id"]
    recorded = json.loads(_reply("jobs/query/7507Q000009f8jvQAA", 200)["body"])
    state = raw(f"jobs/query/{job}").json()
    assert state.keys() == recorded.keys() and state["state"] == recorded["state"] == "JobComplete"
    first = raw(f"jobs/query/{job}/results", params={"maxRecords": 10})
    recorded = _reply("maxRecords=10", 200)
    assert (first.headers["Sforce-Locator"], first.headers["Sforce-NumberOfRecords"]) == ("MTA", "10")
    assert recorded["headers"]["Sforce-Locator"] == "MTA"
    assert first.text.split("\n")[0] == recorded["body"].split("\n")[0] == '"Name","Type","Industry"'
    last = raw(f"jobs/query/{job}/results", params={"locator": "MTA"})
    assert last.headers["Sforce-Locator"] == _reply("locator=MTA", 200)["headers"]["Sforce-Locator"] == "null"
    assert last.headers["Sforce-NumberOfRecords"] == str(len(org.objects["Account"]) - 10)


def test_a_job_that_writes_goes_as_it_went(raw, org):
    org.put("Account", Name="Company")
    made = raw("jobs/ingest", "POST", json={"operation": "insert", "object": "Account"})
    assert made.json().keys() == json.loads(_reply("jobs/ingest", 200)["body"]).keys()
    job = made.json()["id"]
    assert raw(f"jobs/ingest/{job}/batches", "PUT", data="Name,Employees\nFoo,12\n").status_code == 201
    closed = raw(f"jobs/ingest/{job}", "PATCH", json={"state": "UploadComplete"}).json()
    theirs = [
        json.loads(one["response"]["body"]).keys()
        for one in _recorded()
        if one["request"]["url"].endswith("jobs/ingest/7507Q000009f52jQAA")
    ]
    assert closed.keys() == theirs[0]
    ended = raw(f"jobs/ingest/{job}").json()
    recorded = json.loads(
        next(
            one["response"]["body"]
            for one in _recorded()
            if one["request"]["method"] == "GET" and one["request"]["url"].endswith("jobs/ingest/7507Q000009f52jQAA")
        )
    )
    assert ended.keys() == recorded.keys()
    assert (ended["state"], ended["errorMessage"]) == (recorded["state"], recorded["errorMessage"])
