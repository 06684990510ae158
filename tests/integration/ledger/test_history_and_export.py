"""Past rounds in bulk, and the way of all rows into the lake: each exactly once, also after a crash."""

from __future__ import annotations

import datetime as dt
import threading

import duckdb
import pytest
from ledger_world import NOW, candidate, plan, publish
from postgres import new_database
from sqlalchemy import func, insert, select

from closedloop.errors import BadInput
from closedloop.lake import Lake
from closedloop.ledger import Ledger, actions, answers, followups, history, planning
from closedloop.ledger.books import books
from closedloop.ledger.export import export
from closedloop.ledger.rows import event
from closedloop.ledger.schema import events, exports
from closedloop.settings import Settings

DAY = dt.timedelta(days=1)


def _round(ledger: Ledger, names: list[str], at: dt.datetime) -> list[dict]:
    rows = [candidate(name, now=at, state="sent", state_at=at) for name in names]
    history.write_round(
        ledger,
        evaluation={"as_of": at, "sealed_at": at, "definitions_hash": "old"},
        decisions=rows,
        messages=rows,
        events=[event("sent", row, at=at, now=at, message_kind="invitation") for row in rows],
    )
    return rows


def _lake_rows(lake: Lake, query: str) -> list[tuple]:
    with duckdb.connect() as con:
        lake.create_views(con, lake.cut())
        return con.execute(query).fetchall()


def test_a_past_round_looks_like_one_that_was_lived(ledger: Ledger):
    rows = _round(ledger, ["ann", "bob"], NOW - 100 * DAY)
    _round(ledger, ["cyd"], NOW - 90 * DAY)
    assert [(wave.planned, wave.sent, wave.balanced) for wave in books(ledger)] == [(2, 2, True), (1, 1, True)]
    ids = {name: rows[0][name] for name in ("invitation_id", "survey_id", "contact_id", "account_id")}
    at = NOW - 99 * DAY
    answer = {**ids, "score": 2, "comment": "Too slow", "submitted_at": at, "followed_up": True}
    assert history.write_answers(ledger, [answer]) == 1
    followup = {
        **ids,
        "score": 2,
        "assignee_id": "U1",
        "assignment_rule": "account_owner",
        "opened_at": at,
        "acknowledge_due_at": at + DAY,
        "due_at": at + 2 * DAY,
        "sla_hours": 48,
        "first_contact_at": at + DAY,
        "outcome": "resolved",
        "closed_at": at + 3 * DAY,
    }
    assert history.write_followups(ledger, [followup]) == 1

    assert followups.unworked(ledger) == []
    assert [row["status"] for row in followups.list_followups(ledger, include_closed=True)] == ["closed"]
    assert set(actions.actions_of(ledger, ids["invitation_id"])) == {"detractor.alert", "detractor.task"}
    with ledger.read() as conn:
        found = answers.invitation(conn, ids["invitation_id"])
        assert (found.answer.score, found.answer.worked_version) == (2, 1)
        kinds = conn.scalars(select(events.c.kind).order_by(events.c.seq)).all()
    assert kinds == ["sent"] * 3 + ["answered", "followup_opened", "first_contact", "outcome"]
    plan(ledger, [candidate("dan")])  # the chain goes on


def test_history_refuses_what_could_not_have_been(ledger: Ledger):
    with pytest.raises(BadInput):
        history.write_events(ledger, [{"kind": "dreamt", "occurred_at": NOW}])
    with pytest.raises(BadInput):
        history.write_answers(ledger, [{"invitation_id": "x", "score": 11, "submitted_at": NOW}])
    with pytest.raises(BadInput):
        history.write_followups(ledger, [{"invitation_id": "x", "outcome": "forgotten"}])


def test_everything_reaches_the_lake_once_in_the_ledgers_order(ledger: Ledger, settings: Settings):
    _round(ledger, ["ann", "bob", "cyd"], NOW - DAY)
    publish(ledger)
    planning.stage(ledger, "not sealed", [candidate("dan")], [candidate("dan")])
    with Lake.open(settings) as lake:
        assert export(ledger, lake, now=NOW, batch_rows=2) == {
            "evaluations": 1,
            "decisions": 3,
            "events": 3,
            "publications": 1,
        }
        assert sum(export(ledger, lake, now=NOW).values()) == 0
        found = _lake_rows(lake, "select seq, kind, occurred_at, _ingested_at from lake.ledger_events order by seq")
        assert [row[1:] for row in found] == [("sent", (NOW - DAY).replace(tzinfo=None), NOW.replace(tzinfo=None))] * 3
        assert len({row[0] for row in found}) == 3
        assert _lake_rows(lake, "select count(*) from lake.ledger_decisions") == [(3,)]
        assert _lake_rows(lake, "select checks_passed from lake.ledger_publications") == [(1,)]


def test_what_decided_is_kept_with_the_decision_and_reaches_the_lake(ledger: Ledger, settings: Settings):
    plan(
        ledger,
        [candidate("ann", facts={"tier": "Gold", "asked_last": None}), candidate("bob", facts='{"tier":"Basic"}')],
    )
    plan(ledger, [candidate("cyd")], now=NOW + DAY)
    with Lake.open(settings) as lake:
        export(ledger, lake, now=NOW)
        assert _lake_rows(lake, "select contact_id, facts from lake.ledger_decisions order by 1") == [
            ("ann", '{"tier":"Gold","asked_last":null}'),
            ("bob", '{"tier":"Basic"}'),
            ("cyd", None),
        ]


class _Dies(Exception):
    pass


class _DyingLake:
    """Passes all on to the lake, but dies before or after an append."""

    def __init__(self, lake: Lake, when: str, countdown: int) -> None:
        self.lake, self.when, self.countdown = lake, when, countdown

    def append(self, *arguments, **named):
        self.countdown -= 1
        if self.countdown == 0 and self.when == "before":
            raise _Dies
        done = self.lake.append(*arguments, **named)
        if self.countdown == 0:
            raise _Dies
        return done


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("countdown", [1, 2, 3])
def test_an_export_that_dies_is_finished_by_the_next(ledger: Ledger, settings: Settings, when: str, countdown: int):
    _round(ledger, ["ann", "bob", "cyd"], NOW - DAY)
    with Lake.open(settings) as lake:
        with pytest.raises(_Dies):
            export(ledger, _DyingLake(lake, when, countdown), now=NOW, batch_rows=2)
        with ledger.write() as conn:  # life goes on meanwhile
            conn.execute(insert(events), [{"kind": "opened", "occurred_at": NOW, "recorded_at": NOW, "payload": "{}"}])
        export(ledger, lake, now=NOW + DAY, batch_rows=2)
        assert _lake_rows(lake, "select count(*), count(distinct seq) from lake.ledger_events") == [(4, 4)]
        assert _lake_rows(lake, "select count(*), count(distinct candidate_id) from lake.ledger_decisions") == [(3, 3)]
    with ledger.read() as conn:
        assert conn.execute(select(func.count()).where(exports.c.written_at.is_(None))).scalar_one() == 0


def test_another_ledger_of_the_same_lake_loses_nothing(settings: Settings, tmp_path):
    with Lake.open(settings) as lake:
        for number, name in enumerate(("ann", "bob")):
            at = NOW + number * DAY
            with Ledger.open(f"sqlite:///{tmp_path / name}.sqlite") as ledger:
                _round(ledger, [name], at)
                export(ledger, lake, now=at)
        sent = "select contact_id from lake.ledger_events where kind = 'sent' order by 1"
        assert _lake_rows(lake, sent) == [("ann",), ("bob",)]


@pytest.mark.postgres
def test_a_number_that_commits_late_is_not_skipped(postgres_server: str, settings: Settings):
    """Two writers on PostgreSQL: the lower sequence number becomes visible after the export saw the higher one."""
    row = {"kind": "opened", "occurred_at": NOW, "recorded_at": NOW, "payload": "{}"}
    with Ledger.open(new_database(postgres_server)) as ledger, Lake.open(settings) as lake:
        inserted, go_on = threading.Event(), threading.Event()

        def slow_writer() -> None:
            with ledger.write() as conn:
                conn.execute(insert(events), [row])
                inserted.set()
                go_on.wait(10)

        thread = threading.Thread(target=slow_writer)
        thread.start()
        inserted.wait(10)
        with ledger.write() as conn:
            conn.execute(insert(events), [row])
        assert export(ledger, lake, now=NOW)["events"] == 1
        go_on.set()
        thread.join(10)
        assert export(ledger, lake, now=NOW)["events"] == 1
        assert _lake_rows(lake, "select list(seq order by seq) from lake.ledger_events") == [([1, 2],)]
