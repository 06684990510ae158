"""What the CRM is told: the right records, each once, whatever dies in between, and one bad record stops no other."""

from __future__ import annotations

import csv
import datetime as dt
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from ledger_world import NOW, candidate, plan, survey

from closedloop.clock import Clock
from closedloop.errors import BadInput
from closedloop.ledger import Ledger, answers
from closedloop.ledger.actions import action_books, actions_of, retry_failed
from closedloop.settings import REPO, Settings
from dispatch.crm import Outcome, Record, SinkDown, load_write_back, write_back
from dispatch.crm.files import FileSink
from dispatch.followup import run_follow_up

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
MAPPING = load_write_back(REPO / "mappings/write_back/salesforce.yml")


class StandingClock(Clock):
    def __init__(self, time: dt.datetime = NOW) -> None:
        self.time = time

    def now(self) -> dt.datetime:
        return self.time


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class Memory:
    """A CRM in memory; `judge` says what it makes of a record."""

    name = "memory"
    batch = 200

    def __init__(self, judge: Callable[[Record], Outcome] = lambda record: Outcome("done", record_id="x1")) -> None:
        self.judge, self.records, self.writes, self.batches = judge, {}, 0, []

    def write(self, batch: int, records: Sequence[Record]) -> list[Outcome]:
        self.batches.append(batch)
        outcomes = [self.judge(record) for record in records]
        for record, outcome in zip(records, outcomes, strict=True):
            if outcome.state == "done":
                self.writes += 1
                self.records[record.kind, record.key_value] = {
                    name: _text(value) for name, value in record.fields.items()
                }
        return outcomes


def _answered(
    ledger: Ledger, settings: Settings, score: int, name: str = "ann", at: dt.datetime = NOW, programme=None, **payload
) -> str:
    [invitation] = plan(ledger, [candidate(name, programme=programme or survey(), payload=payload)])
    _answer(ledger, settings, invitation, score, at)
    return invitation


def _answer(ledger: Ledger, settings: Settings, invitation: str, score: int, at: dt.datetime = NOW) -> None:
    with ledger.write() as conn:
        answers.record_answer(conn, invitation, score, comment="Fine", channel="email", judged="human", at=at, now=at)
    run_follow_up(ledger, settings, (), now=at)


def _write(ledger: Ledger, sink, at: dt.datetime = NOW):
    return write_back(ledger, sink, MAPPING, clock=StandingClock(at))


def test_an_unhappy_answer_in_the_crm(ledger, settings):
    invitation = _answered(ledger, settings, 4)
    sink = Memory()
    report = _write(ledger, sink)
    assert (report.done, report.failed, report.later, report.skipped) == (5, 0, 0, 0)
    found = sink.records
    assert found["answer", invitation]["Score__c"] == "4"
    task = found["task", f"{invitation}:detractor.task"]
    assert task["Subject"] == "Follow up on detractor NPS response from Ada Ann at Acme"
    assert (task["Priority"], task["OwnerId"], task["WhoId"], task["WhatId"]) == ("High", "U1", "ann", "acme")
    assert found["timeline", f"{invitation}:detractor.timeline"]["NPS_Colour__c"] == "red"
    assert found["case", f"{invitation}:detractor.case"]["Priority"] == "High"
    assert found["contact", "ann"]["NPS_Last_Category__c"] == "detractor"
    assert found["account", "acme"]["NPS_Health_Change__c"] == "-10"
    assert found["cause", "deal-ann"]["NPS_Score__c"] == "4", "the opportunity that caused it"
    assert _write(ledger, sink).done == 0
    assert actions_of(ledger, invitation)["detractor.task"]["record_id"] == "x1"


def test_the_closed_case_is_reopened(ledger, settings):
    _answered(ledger, settings, 4, trigger_event="ticket_resolved", trigger_record_id="case-7")
    sink = Memory()
    _write(ledger, sink)
    assert sink.records["reopened_case", "case-7"] == {"Status": "Reopened", "NPS_Score__c": "4"}
    assert not [key for key in sink.records if key[0] == "case"]


def test_a_changed_answer_changes_its_own_record_and_adds_what_follows(ledger, settings):
    invitation = _answered(ledger, settings, 9)
    sink = Memory()
    _write(ledger, sink)
    assert sink.records["contact", "ann"]["NPS_Advocate__c"] == "true"
    _answer(ledger, settings, invitation, 2, NOW + HOUR)
    _write(ledger, sink, NOW + HOUR)
    assert sink.records["answer", invitation]["Score__c"] == "2"
    assert sink.records["contact", "ann"]["NPS_Advocate__c"] == "false"
    assert ("task", f"{invitation}:detractor.task") in sink.records
    assert ("timeline", f"{invitation}:promoter.timeline") in sink.records, "what was is not taken back"
    assert sink.records["account", "acme"]["NPS_Health_Change__c"] == "-10", "of one contact the newest change counts"


def test_an_older_answer_that_comes_late_puts_nothing_back(ledger, settings):
    _answered(ledger, settings, 9, at=NOW + DAY)
    sink = Memory()
    _write(ledger, sink, NOW + DAY)
    _answered(ledger, settings, 1, programme=survey(id="support"), at=NOW)
    _write(ledger, sink, NOW + 2 * DAY)
    assert sink.records["contact", "ann"]["NPS_Last_Score__c"] == "9"
    assert len([key for key in sink.records if key[0] == "answer"]) == 2


def test_health_of_an_account_is_the_sum_over_its_people(ledger, settings):
    for name, score in (("ann", 2), ("bob", 3), ("cyd", 10)):
        _answered(ledger, settings, score, name)
    sink = Memory()
    _write(ledger, sink)
    assert sink.records["account", "acme"]["NPS_Health_Change__c"] == "-15"


def test_opting_out_and_in_again(ledger, settings):
    invitation = _answered(ledger, settings, 8)
    with ledger.write() as conn:
        answers.unsubscribe(conn, invitation, at=NOW, now=NOW)
        answers.unsubscribe(conn, invitation, at=NOW, now=NOW)
    sink = Memory()
    _write(ledger, sink)
    assert sink.records["contact", "ann"]["HasOptedOutOfEmail"] == "true"
    assert [name for name in actions_of(ledger, invitation) if name.startswith("opt_out")] == ["opt_out:1"]


def test_one_bad_record_stops_no_other(ledger, settings):
    ids = [_answered(ledger, settings, 5, name) for name in ("ann", "bob")]

    def judge(record: Record) -> Outcome:
        if record.kind == "task" and record.key_value.startswith(ids[0]):
            return Outcome("failed", "FIELD_CUSTOM_VALIDATION_EXCEPTION: Subject")
        return Outcome("later", "UNABLE_TO_LOCK_ROW") if record.kind == "case" else Outcome("done")

    sink = Memory(judge)
    report = _write(ledger, sink)
    assert (report.done, report.failed, report.later) == (7, 1, 2)
    assert report.reasons == {"FIELD_CUSTOM_VALIDATION_EXCEPTION: Subject": 1, "UNABLE_TO_LOCK_ROW": 2}
    failed = actions_of(ledger, ids[0])["detractor.task"]
    assert (failed["state"], failed["reason"]) == ("failed", "FIELD_CUSTOM_VALIDATION_EXCEPTION: Subject")
    sink.judge = lambda record: Outcome("done")
    assert _write(ledger, sink).done == 0, "not before a minute has passed"
    assert _write(ledger, sink, NOW + HOUR).done == 2
    assert retry_failed(ledger, now=NOW + HOUR) == 1
    assert _write(ledger, sink, NOW + HOUR).done == 1
    assert all(book["done"] == 2 for book in action_books(ledger) if book["way"] == "crm")


def test_a_crm_that_is_away_loses_nothing(ledger, settings):
    _answered(ledger, settings, 5)

    def away(record: Record) -> Outcome:
        raise SinkDown("REQUEST_LIMIT_EXCEEDED", retry_at=NOW + 3 * HOUR)

    sink = Memory(away)
    report = _write(ledger, sink)
    assert (report.stopped, report.later) == ("REQUEST_LIMIT_EXCEEDED", 5)
    sink.judge = lambda record: Outcome("done")
    assert _write(ledger, sink, NOW + 2 * HOUR).done == 0
    assert _write(ledger, sink, NOW + 3 * HOUR).done == 5


def test_files_for_a_data_loader(ledger, settings, tmp_path: Path):
    invitation = _answered(ledger, settings, 4, contact_name="=HYPERLINK(1)", account_name="Acme")
    _write(ledger, FileSink(tmp_path / "outbox"))
    folder = tmp_path / "outbox" / "000001"
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "Account.account.csv",
        "Case.case.csv",
        "Contact.contact.csv",
        "NPS_Response__c.answer.csv",
        "Opportunity.cause.csv",
        "Task.task.csv",
        "Task.timeline.csv",
        "batch.json",
    ]
    [task] = csv.DictReader((folder / "Task.task.csv").open(encoding="utf-8"))
    assert task["Closedloop_Id__c"] == f"{invitation}:detractor.task"
    assert json.loads((folder / "batch.json").read_text())["records"]["Task.task.csv"] == 1
    _answered(ledger, settings, 9, "bob")
    _write(ledger, FileSink(tmp_path / "outbox"))
    assert sorted(path.name for path in (tmp_path / "outbox").iterdir()) == ["000001", "000002"]


def test_a_disk_that_takes_nothing(ledger, settings, tmp_path: Path):
    _answered(ledger, settings, 4)
    (tmp_path / "outbox").write_text("a file stands in the way")
    report = _write(ledger, FileSink(tmp_path / "outbox"))
    assert report.stopped and report.later == 5 and report.done == 0


KILLED = """
import os, signal, sys
from pathlib import Path
from closedloop.clock import Clock
from closedloop.ledger import Ledger
from closedloop.ledger import actions
from closedloop.settings import REPO, Settings
from dispatch.crm import load_write_back, write_back
from dispatch.crm.files import FileSink

home, where = Path(sys.argv[1]), sys.argv[2]

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

class Sink(FileSink):
    def write(self, batch, records):
        if where == "before the files":
            die()
        if where == "in the files":
            os.replace = die
        result = super().write(batch, records)
        if where == "after the files":
            die()
        return result

if where == "before the books":
    actions.finish = die
settings = Settings(home=home, _env_file=None)
with Ledger.open(settings) as ledger:
    write_back(ledger, Sink(home / "outbox"), load_write_back(REPO / "mappings/write_back/salesforce.yml"), clock=Clock())
"""


@pytest.mark.parametrize("where", ["before the files", "in the files", "after the files", "before the books"])
def test_killed_at_any_step_every_action_is_written_once(tmp_path: Path, where: str):
    settings = Settings(home=tmp_path / "home", _env_file=None)
    settings.ensure_home()
    with Ledger.open(settings) as ledger:
        ids = [_answered(ledger, settings, score, f"p{score}") for score in (2, 8, 10)]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(settings.home), where], cwd=REPO, env=os.environ
    )
    assert done.returncode == -signal.SIGKILL
    with Ledger.open(settings) as ledger:
        sink = FileSink(settings.home / "outbox")
        later = Clock().now() + 12 * dt.timedelta(minutes=1)
        assert _write(ledger, sink, Clock().now()).done == 0, "another process may still be at it"
        # What came meanwhile does not mix with the batch that died.
        ids.append(_answered(ledger, settings, 9, "late"))
        _write(ledger, sink, later)
        books = [book for book in action_books(ledger) if book["way"] == "crm"]
        assert all(
            book["done"] == sum(book[state] for state in ("planned", "attempted", "done", "failed")) for book in books
        )
    written = [
        row[next(iter(row))]
        for path in sorted((settings.home / "outbox").glob("0*/*.csv"))
        for row in csv.DictReader(path.open(encoding="utf-8"))
        if next(iter(row)) == "Closedloop_Id__c"
    ]
    assert len(written) == len(set(written))
    assert {key.partition(":")[0] for key in written} == set(ids)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("task: {object: Task, key: Id, fields: {Subject: title}}", "title"),
        ("task: {object: Task, key: Id, fields: {Subject: {from: subject, value: x}}}", "either"),
        ("task: {object: Task, fields: {}}", "key"),
        ("tasks: {}", "tasks"),
    ],
)
def test_a_wrong_mapping_names_the_place(tmp_path: Path, text: str, problem: str):
    path = tmp_path / "crm.yml"
    path.write_text(f"name: own\n{text}\n")
    with pytest.raises(BadInput, match=problem) as caught:
        load_write_back(path)
    assert caught.value.line == 2
