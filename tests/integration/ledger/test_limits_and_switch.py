"""Limits make mail wait and lose none; the switch stops all of it, also in the middle of a run."""

from __future__ import annotations

import datetime as dt

import pytest
from ledger_world import NOW, candidate, plan, survey
from paper_sender import Sender

from closedloop.errors import BadInput
from closedloop.ledger import Ledger, delivery
from closedloop.ledger.books import books
from closedloop.ledger.limits import day_limit
from closedloop.ledger.switches import SENDING, SWITCHED_OFF, state, turn
from closedloop.settings import Settings

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)
NAMES = [f"p{number}" for number in range(6)]


def _with(settings: Settings, **limits) -> Settings:
    return settings.model_copy(update=limits)


def _plan(ledger: Ledger, **over) -> None:
    plan(ledger, [candidate(name, **over) for name in NAMES])


@pytest.mark.parametrize("limit", [500, 2])
def test_no_more_than_the_hourly_limit_goes_out_and_the_rest_comes_next_hour(ledger: Ledger, settings, limit):
    sender = Sender(ledger, _with(settings, max_per_hour=4), survey())
    _plan(ledger)
    taken, held, closed = sender.claim(limit=limit)
    assert (len(taken), held, closed) == (4, {"hourly limit": 2}, {})
    assert sender.claim(NOW + HOUR / 2)[0] == [], "the hour is full"
    assert len(sender.claim(NOW + HOUR)[0]) == 2
    assert books(ledger)[0].balanced


def test_a_domain_has_a_limit_of_its_own(ledger: Ledger, settings):
    sender = Sender(ledger, _with(settings, max_per_domain_per_hour=2), survey())
    _plan(ledger)
    plan(ledger, [candidate("far", email="far@elsewhere.example", wave_id="w")])
    taken, held, _ = sender.claim()
    assert (len(taken), "far" in taken) == (3, True)
    assert held == {"hourly limit of the recipient's domain": 4}


def test_an_account_has_a_limit_a_day(ledger: Ledger, settings):
    sender = Sender(ledger, _with(settings, max_per_account_per_day=2), survey())
    _plan(ledger)
    plan(ledger, [candidate("far", account_id="other", wave_id="w")])
    assert sender.send() == 3
    assert sender.claim(NOW + 2 * HOUR)[0] == []
    midnight = NOW.replace(hour=0) + DAY
    assert len(sender.claim(midnight)[0]) == 2


def test_a_warm_up_doubles_day_by_day_and_ends(settings):
    warm = _with(settings, warm_up_from=NOW.date(), warm_up_first_day=10, warm_up_days=3)
    found = [day_limit(warm, NOW + day * DAY) for day in range(-1, 4)]
    assert found[1:4] == [(10, "warm-up limit"), (20, "warm-up limit"), (40, "warm-up limit")]
    assert found[0] == found[4] == (None, "daily limit")
    assert day_limit(_with(warm, max_per_day=15), NOW + DAY) == (15, "daily limit")


def test_what_a_warm_up_leaves_goes_out_on_the_next_days(ledger: Ledger, settings):
    sender = Sender(ledger, _with(settings, warm_up_from=NOW.date(), warm_up_first_day=1, warm_up_days=9), survey())
    _plan(ledger)
    assert [sender.send(NOW + day * DAY) for day in range(4)] == [1, 2, 3, 0]
    assert (books(ledger)[0].sent, books(ledger)[0].balanced) == (6, True)


def test_alerts_are_counted_and_never_wait(ledger: Ledger, settings):
    alert = {**candidate("ann"), "message_id": "alert", "kind": "alert", "channel": "email"}
    from closedloop.ledger.rows import add_messages

    with ledger.write() as conn:
        add_messages(conn, [alert])
    _plan(ledger)
    sender = Sender(ledger, _with(settings, max_per_hour=1), survey())
    assert sender.claim()[0] == ["ann"], "the alert took the hour's room"


def test_the_switch_stops_what_is_due_and_keeps_it_pending(ledger: Ledger, settings):
    sender = Sender(ledger, settings, survey())
    _plan(ledger)
    assert turn(ledger, SENDING, on=False, by="Ada", reason="wrong logo", now=NOW)
    assert not turn(ledger, SENDING, on=False, by="Bob", now=NOW)
    assert sender.claim() == ([], {SWITCHED_OFF: 6}, {})
    assert state(ledger, SENDING)["changed_by"] == "Ada"
    assert turn(ledger, SENDING, on=True, by="Ada", now=NOW)
    assert len(sender.claim()[0]) == 6


def test_the_switch_stops_a_run_before_its_next_hand_over(ledger: Ledger, settings):
    sender = Sender(ledger, settings, survey())
    ids = plan(ledger, [candidate(name) for name in NAMES])
    assert len(sender.claim()[0]) == 6
    assert delivery.hand_over(ledger, ids[:2], owner="me", now=NOW) == ids[:2]
    turn(ledger, SENDING, on=False, by="Ada", reason="stop", now=NOW)
    assert delivery.hand_over(ledger, ids[2:], owner="me", now=NOW) == []
    book = books(ledger)[0]
    assert (book.pending, book.balanced) == (6, True)


def test_who_turns_a_switch_says_so(ledger: Ledger):
    with pytest.raises(BadInput, match="say who"):
        turn(ledger, SENDING, on=False, by=" ", now=NOW)
