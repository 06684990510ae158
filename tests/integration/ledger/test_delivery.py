"""Claim, hand-over, result, recovery; and every rule that is looked at again in the claiming transaction."""

from __future__ import annotations

import datetime as dt

import pytest
from ledger_world import NOW, candidate, plan, survey
from sqlalchemy import select

from closedloop.errors import BadInput
from closedloop.ledger import Ledger, answers, delivery, lists
from closedloop.ledger.books import books
from closedloop.ledger.delivery import Result
from closedloop.ledger.schema import events, messages
from closedloop.settings import Settings

DAY = dt.timedelta(days=1)
ACTIVE = {"post-close": survey()}


def _claim(ledger: Ledger, settings: Settings, *, surveys=None, now=NOW, owner="me", limit=500):
    """All waves claimed to their end: (messages, held, suppressed)."""
    taken, held, closed = [], {}, {}
    for wave in delivery.pending_waves(ledger):
        after = ""
        while after is not None:
            claim = delivery.claim(
                ledger,
                wave,
                surveys=ACTIVE if surveys is None else surveys,
                settings=settings,
                owner=owner,
                now=now,
                after=after,
                limit=limit,
            )
            taken += claim.messages
            held |= {reason: count for reason, count in claim.held.items() if count}
            closed |= claim.suppressed
            after = claim.last
    return taken, held, closed


def _states(ledger: Ledger) -> dict[str, str]:
    with ledger.read() as conn:
        return dict(conn.execute(select(messages.c.contact_id, messages.c.state)).tuples().all())


def _event_kinds(ledger: Ledger) -> list[str]:
    with ledger.read() as conn:
        return list(conn.scalars(select(events.c.kind).order_by(events.c.seq)))


def test_the_way_of_a_message(ledger: Ledger, settings: Settings):
    [ann, bob, cyd] = plan(ledger, [candidate("ann"), candidate("bob"), candidate("cyd")])
    taken, _, _ = _claim(ledger, settings, limit=2)
    assert {row["message_id"] for row in taken} == {ann, bob, cyd}
    assert taken[0]["payload"]["company"] == "Northwind Cloud"
    assert _claim(ledger, settings, owner="other")[0] == []

    assert delivery.hand_over(ledger, [ann, bob, cyd], owner="other", now=NOW) == []
    assert delivery.hand_over(ledger, [ann, bob, cyd], owner="me", now=NOW) == [ann, bob, cyd]
    later = NOW + dt.timedelta(minutes=1)
    counts = delivery.record_results(
        ledger,
        [Result(ann, "sent"), Result(bob, "rejected", "550 at recipient"), Result(cyd, "pending", "451", later)],
        owner="me",
        now=NOW,
    )
    assert counts == {"sent": 1, "rejected": 1, "pending": 1}
    assert _states(ledger) == {"ann": "sent", "bob": "rejected", "cyd": "pending"}
    assert sorted(_event_kinds(ledger)) == ["rejected", "sent"]
    [wave] = books(ledger)
    assert wave.balanced

    assert _claim(ledger, settings)[0] == []  # its time has not come
    assert [row["attempts"] for row in _claim(ledger, settings, now=later)[0]] == [1]


def test_a_lease_that_ran_out_cannot_be_handed_over(ledger: Ledger, settings: Settings):
    [ann] = plan(ledger, [candidate("ann")])
    _claim(ledger, settings)
    assert delivery.hand_over(ledger, [ann], owner="me", now=NOW + delivery.LEASE) == []


@pytest.mark.parametrize("alone", [True, False])
def test_recovery_frees_the_claimed_and_doubts_the_handed(ledger: Ledger, settings: Settings, alone: bool):
    [ann, _] = plan(ledger, [candidate("ann"), candidate("bob")])
    _claim(ledger, settings)
    delivery.hand_over(ledger, [ann], owner="me", now=NOW)
    if not alone:
        assert delivery.recover(ledger, now=NOW, alone=False) == {"pending": 0, "uncertain": 0}
    when = NOW if alone else NOW + delivery.LEASE
    assert delivery.recover(ledger, now=when, alone=alone) == {"pending": 1, "uncertain": 1}
    assert _states(ledger) == {"ann": "uncertain", "bob": "pending"}
    assert _claim(ledger, settings, now=when)[0][0]["contact_id"] == "bob"  # the uncertain one never again


def test_an_answer_that_comes_after_the_lease_is_knowledge(ledger: Ledger, settings: Settings):
    [ann] = plan(ledger, [candidate("ann")])
    _claim(ledger, settings)
    delivery.hand_over(ledger, [ann], owner="me", now=NOW)
    delivery.recover(ledger, now=NOW + delivery.LEASE, alone=False)
    assert delivery.record_results(ledger, [Result(ann, "sent")], owner="me", now=NOW) == {"sent": 1}
    assert delivery.record_results(ledger, [Result(ann, "sent")], owner="me", now=NOW) == {}
    assert _event_kinds(ledger) == ["uncertain", "sent"]


def test_release_gives_back_what_was_not_handed_over(ledger: Ledger, settings: Settings):
    [ann, _] = plan(ledger, [candidate("ann"), candidate("bob")])
    _claim(ledger, settings)
    delivery.hand_over(ledger, [ann], owner="me", now=NOW)
    assert delivery.release(ledger, owner="me") == 1
    assert _states(ledger) == {"ann": "handed", "bob": "pending"}


@pytest.mark.parametrize(
    ("surveys", "reason"),
    [
        ({}, "survey removed"),
        ({"post-close": survey(status="paused")}, "survey paused"),
        ({"post-close": survey(status="draft")}, "survey draft"),
    ],
)
def test_a_survey_that_is_not_active_holds_its_wave_until_it_expires(ledger: Ledger, settings, surveys, reason):
    plan(ledger, [candidate("ann"), candidate("bob", expires_at=NOW + 30 * DAY)])
    assert _claim(ledger, settings, surveys=surveys) == ([], {reason: 2}, {})
    late = NOW + 15 * DAY
    assert _claim(ledger, settings, surveys=surveys, now=late) == ([], {reason: 1}, {"expired": 1})
    assert _states(ledger) == {"ann": "suppressed", "bob": "pending"}
    assert len(_claim(ledger, settings, now=late)[0]) == 1


def test_a_large_wave_waits_for_approval(ledger: Ledger, settings: Settings):
    plan(ledger, [candidate(f"p{number}") for number in range(4)])
    small = settings.model_copy(update={"wave_approval_size": 3})
    assert _claim(ledger, small) == ([], {"waits for approval": 4}, {})
    with pytest.raises(BadInput):
        delivery.approve_wave(ledger, "no such wave", by="Olga", now=NOW)
    delivery.approve_wave(ledger, "post-close:2026-03-02", by="Olga", now=NOW)
    delivery.approve_wave(ledger, "post-close:2026-03-02", by="Max", now=NOW)
    assert len(_claim(ledger, small)[0]) == 4


def test_only_the_allow_list_gets_mail_while_live_sending_is_off(ledger: Ledger, settings: Settings):
    plan(ledger, [candidate("ann", email="ann@real-company.com"), candidate("bob")])
    taken, held, _ = _claim(ledger, settings)
    assert [row["contact_id"] for row in taken] == ["bob"]
    assert held == {"live sending is off": 1}
    with ledger.read() as conn:
        found = select(messages.c.state, messages.c.state_reason).where(messages.c.contact_id == "ann")
        assert conn.execute(found).one() == ("pending", "live sending is off")
    live = settings.model_copy(update={"live_sending": True})
    assert [row["contact_id"] for row in _claim(ledger, live)[0]] == ["ann"]


def test_who_must_not_be_asked_any_more_is_suppressed(ledger: Ledger, settings: Settings):
    names = ("answered", "left", "listed", "account", "ended", "fine")
    rows = [candidate(name, account_id="blocked" if name == "account" else "acme") for name in names]
    ids = dict(zip(names, plan(ledger, rows), strict=True))
    with ledger.write() as conn:
        answers.record_answer(conn, ids["answered"], 9, channel="email", judged="human", at=NOW, now=NOW)
    lists.suppress(ledger, [rows[1]["person_key"]], "unsubscribed", now=NOW)
    entry = {"reason": "asked us not to", "author": "Olga"}
    lists.exclude_add(ledger, "contact", "listed", now=NOW, **entry)
    lists.exclude_add(ledger, "account", "blocked", now=NOW, **entry)
    lists.exclude_add(ledger, "contact", "ended", now=NOW - 2 * DAY, until=NOW - DAY, **entry)

    taken, _, closed = _claim(ledger, settings)

    assert {row["contact_id"] for row in taken} == {"ended", "fine"}
    assert closed == {"answered": 1, "suppressed": 1, "excluded": 2}


def _asked(ledger: Ledger, settings: Settings, *, now, state: str = "sent", programme=None) -> None:
    """An invitation of ann's that ended in `state`."""
    [first] = plan(ledger, [candidate("ann", programme=programme, now=now)], now=now)
    surveys = {programme.id: programme} if programme else None
    assert len(_claim(ledger, settings, now=now, surveys=surveys)[0]) == 1
    if state != "claimed":
        delivery.hand_over(ledger, [first], owner="me", now=now)
    if state not in ("claimed", "handed"):
        delivery.record_results(ledger, [Result(first, state)], owner="me", now=now)


def _again(**over):
    """A further candidate of ann's."""
    return candidate("ann", message_id="second", candidate_id="second", invitation_id="second", **over)


@pytest.mark.parametrize(
    ("state", "days", "blocked"),
    [
        ("sent", 0, True),
        ("sent", 89, True),
        ("sent", 90, False),
        ("claimed", 1, True),
        ("handed", 1, True),
        ("uncertain", 1, True),
        ("rejected", 1, False),
    ],
)
def test_the_cooldown_is_looked_at_again(ledger: Ledger, settings: Settings, state, days, blocked):
    before = (NOW - days * DAY).replace(hour=23)  # days are differences of UTC dates, not spans of 24 hours
    _asked(ledger, settings, now=before, state=state)
    plan(ledger, [_again(wave_id="other wave", expires_at=NOW + DAY)])
    taken, _, closed = _claim(ledger, settings, owner="again")
    assert (closed == {"cooldown": 1}) is blocked
    assert (len(taken) == 1) is not blocked


def test_the_cooldown_of_one_survey_ignores_the_others(ledger: Ledger, settings: Settings):
    _asked(ledger, settings, now=NOW - DAY, programme=survey(id="support"))
    narrow = survey(cooldown={"days": 90, "scope": "survey"})
    plan(ledger, [_again(programme=narrow)])
    assert len(_claim(ledger, settings)[0]) == 1


def test_two_messages_of_one_person_in_one_claim(ledger: Ledger, settings: Settings):
    plan(ledger, [candidate("ann"), candidate("ann2", email=" ANN@customer.example")])
    taken, _, closed = _claim(ledger, settings)
    assert len(taken) == 1
    assert closed == {"cooldown": 1}


def test_books_notice_a_message_that_vanished(ledger: Ledger):
    [ann, _] = plan(ledger, [candidate("ann"), candidate("bob")])
    with ledger.write() as conn:
        conn.execute(messages.delete().where(messages.c.message_id == ann))
    assert not books(ledger)[0].balanced
