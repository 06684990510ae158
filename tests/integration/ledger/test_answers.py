"""Answers as the collector records them: changes of mind, judgements, comments, unsubscribes."""

from __future__ import annotations

import datetime as dt
import json

import pytest
from ledger_world import NOW, candidate, plan, publish
from sqlalchemy import select

from closedloop.errors import BadInput
from closedloop.ledger import Ledger, answers, planning
from closedloop.ledger.schema import events, suppressions

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def invited(ledger: Ledger) -> str:
    return plan(ledger, [candidate("ann")])[0]


def _answer(ledger: Ledger, invitation_id: str, score: int, at=NOW, **over) -> answers.Recorded:
    with ledger.write() as conn:
        return answers.record_answer(
            conn, invitation_id, score, **{"channel": "email", "judged": "human", "at": at, "now": at, **over}
        )


def _standing(ledger: Ledger, invitation_id: str) -> answers.Answer:
    with ledger.read() as conn:
        return answers.invitation(conn, invitation_id).answer


def _said(ledger: Ledger, kind: str = "answered") -> list[dict]:
    with ledger.read() as conn:
        found = select(events.c.payload).where(events.c.kind == kind).order_by(events.c.seq)
        return [json.loads(payload) for payload in conn.scalars(found)]


def test_the_last_score_within_24_hours_counts(ledger: Ledger, invited: str):
    _answer(ledger, invited, 9)
    assert _answer(ledger, invited, 4, NOW + 24 * HOUR).counted
    late = _answer(ledger, invited, 10, NOW + 24 * HOUR + dt.timedelta(seconds=1))
    assert (late.counted, late.answer.score) == (False, 4)
    standing = _standing(ledger, invited)
    assert (standing.score, standing.version, standing.submitted_at) == (4, 3, NOW)
    assert standing.scored_at == NOW + 24 * HOUR
    assert [(said["score"], said["version"], said["counted"]) for said in _said(ledger)] == [
        (9, 1, True),
        (4, 2, True),
        (10, 3, False),
    ]


def test_a_comment_may_be_added_to_the_score_that_stands_at_any_time(ledger: Ledger, invited: str):
    _answer(ledger, invited, 3)
    added = _answer(ledger, invited, 3, NOW + 30 * HOUR, comment="Slow support", answers={"why": "support"})
    assert added.counted
    standing = _standing(ledger, invited)
    assert (standing.comment, standing.answers) == ("Slow support", {"why": "support"})
    assert (standing.version, standing.scored_at, standing.changed_at) == (2, NOW, NOW + 30 * HOUR)
    assert [said["completed"] for said in _said(ledger)] == [False, True]


def test_a_repeated_answer_changes_nothing_and_keeps_its_comment(ledger: Ledger, invited: str):
    _answer(ledger, invited, 3, comment="Slow")
    again = _answer(ledger, invited, 3, NOW + HOUR)
    assert (again.counted, again.changed) == (True, False)
    assert _standing(ledger, invited).comment == "Slow"
    assert len(_said(ledger)) == 1


def test_a_changed_score_leaves_the_old_comment_behind(ledger: Ledger, invited: str):
    _answer(ledger, invited, 3, comment="Slow")
    assert _answer(ledger, invited, 9, NOW + HOUR).answer.comment is None


def test_a_machine_never_replaces_a_person(ledger: Ledger, invited: str):
    _answer(ledger, invited, 9)
    assert not _answer(ledger, invited, 0, NOW + HOUR, judged="provisional").counted
    assert _answer(ledger, invited, 9, NOW + HOUR, judged="provisional").answer.judged == "human"
    assert _standing(ledger, invited).score == 9


def test_a_person_replaces_a_machine_however_late_and_starts_the_clock(ledger: Ledger, invited: str):
    _answer(ledger, invited, 0, judged="provisional")
    later = NOW + 72 * HOUR
    assert _answer(ledger, invited, 0, later).answer.judged == "human"
    standing = _standing(ledger, invited)
    assert (standing.submitted_at, standing.scored_at) == (later, later)
    assert _answer(ledger, invited, 8, later + HOUR).counted


@pytest.mark.parametrize("score", [-1, 11, True, "7", 7.0, None])
def test_what_is_no_score_is_refused(ledger: Ledger, invited: str, score):
    with pytest.raises(BadInput):
        _answer(ledger, invited, score)
    assert _said(ledger) == []


def test_unknown_and_unsealed_invitations_take_no_answer_and_spoil_no_group(ledger: Ledger, invited: str):
    publication = publish(ledger)
    planning.stage(ledger, publication, [candidate("bob")], [candidate("bob")])
    with ledger.write() as conn:
        for unknown in ("nobody", candidate("bob")["invitation_id"]):
            assert answers.invitation(conn, unknown) is None
            with pytest.raises(BadInput):
                answers.record_answer(conn, unknown, 5, channel="email", judged="human", at=NOW, now=NOW)
        answers.record_answer(conn, invited, 5, channel="email", judged="human", at=NOW, now=NOW)
    assert _standing(ledger, invited).score == 5


def test_hits_are_kept_raw_and_never_become_scores(ledger: Ledger, invited: str):
    with ledger.write() as conn:
        answers.record_hit(conn, invited, "opened", at=NOW, now=NOW)
        answers.record_hit(conn, invited, "clicked", at=NOW, now=NOW, score=0, hidden=True)
        answers.record_hit(conn, invited, "viewed", at=NOW, now=NOW)
        with pytest.raises(BadInput):
            answers.record_hit(conn, invited, "guessed", at=NOW, now=NOW)
    assert _standing(ledger, invited) is None
    assert _said(ledger, "clicked") == [{"message_kind": "invitation", "score": 0, "hidden": True}]


def test_an_unsubscribe_is_recorded_once_and_suppresses_the_address(ledger: Ledger, invited: str):
    for expected in (True, False):
        with ledger.write() as conn:
            assert answers.unsubscribe(conn, invited, at=NOW, now=NOW) is expected
    with ledger.read() as conn:
        assert conn.execute(select(suppressions.c.reason)).scalars().all() == ["unsubscribed"]
    assert len(_said(ledger, "unsubscribed")) == len(_said(ledger, "suppressed_address")) == 1


def test_voiding_needs_an_answer(ledger: Ledger, invited: str):
    facts = {"by": "Olga", "why": "test answer", "at": NOW, "now": NOW}
    with pytest.raises(BadInput), ledger.write() as conn:
        answers.void(conn, invited, **facts)
    _answer(ledger, invited, 1)
    with ledger.write() as conn:
        answers.void(conn, invited, **facts)
    assert _said(ledger, "voided") == [{"by": "Olga", "why": "test answer"}]


def test_the_page_learns_all_it_needs(ledger: Ledger, invited: str):
    with ledger.read() as conn:
        found = answers.invitation(conn, invited)
    assert (found.survey_id, found.state, found.answer) == ("post-close", "pending", None)
    assert found.payload["definition"]["name"] == "Post-Close"
    assert not found.is_expired(NOW + dt.timedelta(days=59))
    assert found.is_expired(NOW + dt.timedelta(days=60))
    assert "customer.example" not in repr(found)
