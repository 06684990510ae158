"""The record of closing the loop: opened once, legal moves only, every one kept with who and when."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from ledger_world import NOW, candidate, plan
from sqlalchemy import select

from closedloop.errors import BadInput
from closedloop.ledger import Ledger, answers, followups
from closedloop.ledger.schema import events
from closedloop.programme.steps import ACKNOWLEDGED, CLOSED, MOVES, NO_RESPONSE, OPEN, OUTCOMES, STEPS
from closedloop.settings import Settings
from dispatch.followup import run_follow_up

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def opened(ledger: Ledger, settings: Settings) -> str:
    [invitation] = plan(ledger, [candidate("ann")])
    with ledger.write() as conn:
        answers.record_answer(conn, invitation, 5, channel="email", judged="human", at=NOW, now=NOW)
    assert run_follow_up(ledger, settings, (), now=NOW).opened == 1
    return invitation


def _do(ledger: Ledger, move: str, invitation: str, *arguments: str, at=NOW + HOUR, now=NOW + 9 * HOUR, **more) -> None:
    with ledger.write() as conn:
        getattr(followups, move)(conn, invitation, *arguments, at=at, by="Olga", now=now, **more)


def _contact(ledger: Ledger, invitation: str, at=NOW + HOUR, now=NOW + 9 * HOUR) -> None:
    _do(ledger, "first_contact", invitation, at=at, now=now)


def _close(ledger: Ledger, invitation: str, outcome="resolved", at=NOW + 2 * HOUR, now=NOW + 9 * HOUR) -> None:
    _do(ledger, "log_outcome", invitation, outcome, at=at, now=now)


def test_from_open_to_closed(ledger: Ledger, opened: str):
    [row] = followups.list_followups(ledger)
    assert (row["status"], row["due_at"], row["acknowledge_due_at"]) == ("open", NOW + 48 * HOUR, NOW + 24 * HOUR)
    _contact(ledger, opened)
    assert followups.list_followups(ledger)[0]["status"] == ACKNOWLEDGED
    for step in ("investigating", "resolving", "reported_back"):
        _do(ledger, "take_step", opened, step, note=f"on to {step}")
    _close(ledger, opened)
    assert followups.list_followups(ledger) == []
    [row] = followups.list_followups(ledger, include_closed=True)
    assert (row["outcome"], row["first_contact_at"], row["closed_at"]) == ("resolved", NOW + HOUR, NOW + 2 * HOUR)
    with ledger.read() as conn:
        kinds = conn.scalars(select(events.c.kind).order_by(events.c.seq)).all()
        course = followups.course_of(conn, opened)
    assert kinds[-5:] == ["first_contact", *["followup_step"] * 3, "outcome"]
    assert [one["payload"].get("note") for one in course[-4:]] == [
        "on to investigating",
        "on to resolving",
        "on to reported_back",
        None,
    ]
    assert {one["payload"]["by"] for one in course[-5:]} == {"Olga"}


def test_a_move_in_nobodys_name_writes_nothing(ledger: Ledger, opened: str):
    """The collector commits what a refused move has written, so it must not have written anything."""
    moves = {
        "first_contact": {"at": NOW + HOUR},
        "log_outcome": {"outcome": "no_response", "at": NOW + HOUR},
        "add_note": {"note": "called"},
        "reassign": {"name": "Max", "email": "max@closedloop.example", "person_id": None},
    }
    later = {
        "take_step": {"step": "investigating", "at": NOW + HOUR},
        "reopen": {"why": "broke again", "at": NOW + 3 * HOUR},
    }

    def refused(named: dict[str, dict]) -> None:
        for move, said in named.items():
            before = followups.list_followups(ledger, include_closed=True)
            with ledger.write() as conn, pytest.raises(BadInput, match="who did it"):
                getattr(followups, move)(conn, opened, **said, by=" ", now=NOW + 9 * HOUR)
            assert followups.list_followups(ledger, include_closed=True) == before, move

    refused(moves)
    _contact(ledger, opened)
    refused({"take_step": later["take_step"]})
    _close(ledger, opened)
    refused({"reopen": later["reopen"]})


def test_a_customer_who_cannot_be_reached(ledger: Ledger, opened: str):
    with pytest.raises(BadInput, match="needs a first contact"):
        _close(ledger, opened, "resolved")
    _close(ledger, opened, "no_response")


def test_illegal_moves(ledger: Ledger, opened: str):
    for move in (
        lambda: _contact(ledger, "nobody"),
        lambda: _contact(ledger, opened, at=NOW - HOUR),
        lambda: _contact(ledger, opened, at=NOW + 10 * HOUR),
        lambda: _close(ledger, opened, "forgotten"),
        lambda: _close(ledger, "nobody"),
        lambda: _do(ledger, "take_step", opened, "resolving"),
        lambda: _do(ledger, "reopen", opened, why="because"),
    ):
        with pytest.raises(BadInput):
            move()
    _contact(ledger, opened)
    for move in (lambda: _contact(ledger, opened), lambda: _close(ledger, opened, at=NOW)):
        with pytest.raises(BadInput):
            move()
    _close(ledger, opened)
    for move in (lambda: _contact(ledger, opened), lambda: _close(ledger, opened)):
        with pytest.raises(BadInput, match="closed"):
            move()


def test_a_closed_follow_up_is_reopened_with_a_reason(ledger: Ledger, opened: str):
    _contact(ledger, opened)
    _close(ledger, opened)
    with pytest.raises(BadInput, match="reopen"):
        _do(ledger, "reopen", opened, at=NOW + 3 * HOUR, why=" ")
    _do(ledger, "reopen", opened, at=NOW + 3 * HOUR, why="it broke again")
    [row] = followups.list_followups(ledger)
    assert (row["status"], row["outcome"], row["closed_at"]) == ("investigating", None, None)
    assert row["first_contact_at"] == NOW + HOUR, "the clocks were stopped and stay so"


def test_handing_over_keeps_addresses_out_of_events(ledger: Ledger, opened: str):
    with ledger.write() as conn:
        followups.reassign(
            conn, opened, name="Ben Next", email="ben@closedloop.example", person_id="U9", by="Olga", now=NOW + HOUR
        )
        followups.add_note(conn, opened, "see the last case", by="Olga", now=NOW + HOUR)
    [row] = followups.list_followups(ledger, assignee_email="ben@closedloop.example")
    assert (row["assignee_id"], row["assignment_rule"]) == ("U9", "handed_over")
    with ledger.read() as conn:
        told = " ".join(conn.scalars(select(events.c.payload)))
    assert "ben@" not in told and "olga@" not in told


MOVE = some.one_of(
    some.tuples(some.just("first_contact")),
    some.tuples(some.just("take_step"), some.sampled_from(STEPS)),
    some.tuples(some.just("log_outcome"), some.sampled_from(OUTCOMES)),
    some.tuples(some.just("reopen")),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves=some.lists(MOVE, max_size=12))
def test_whatever_is_tried_only_legal_moves_happen(ledger: Ledger, opened: str, moves):
    with ledger.write() as conn:  # as it was when it was opened
        clean = {"status": OPEN, "first_contact_at": None, "outcome": None, "closed_at": None}
        conn.execute(followups.update(followups.followups).values(**clean))
    step, contacted = OPEN, False
    for number, (move, *arguments) in enumerate(moves):
        at = NOW + (number + 1) * HOUR
        to = {"first_contact": ACKNOWLEDGED, "log_outcome": CLOSED, "reopen": "investigating"}.get(
            move, arguments[0] if arguments else None
        )
        legal = to in MOVES[step] if to else False
        if move == "first_contact":
            legal = step == OPEN
        elif move == "reopen":
            legal = step == CLOSED
        elif move == "take_step":
            legal = legal and step != CLOSED and to != CLOSED
        elif move == "log_outcome" and step == OPEN:
            legal = arguments[0] == NO_RESPONSE
        more = {"why": "again"} if move == "reopen" else {}
        try:
            _do(ledger, move, opened, *arguments, at=at, now=at, **more)
        except BadInput:
            assert not legal, (step, move, arguments)
            continue
        assert legal, (step, move, arguments)
        step = OPEN if move == "reopen" and not contacted else to
        contacted = contacted or to == ACKNOWLEDGED
        [row] = followups.list_followups(ledger, include_closed=True)
        assert row["status"] == step
        assert (row["first_contact_at"] is not None) == contacted
        assert (row["closed_at"] is not None) == (row["outcome"] is not None) == (step == CLOSED)
