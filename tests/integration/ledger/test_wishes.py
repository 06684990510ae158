"""What a person chose to get is obeyed at hand-over, and may be taken back."""

from __future__ import annotations

import datetime as dt

import pytest
from ledger_world import NOW, candidate, plan, survey
from sqlalchemy import select

from closedloop.errors import BadInput
from closedloop.ledger import Ledger, answers, delivery, lists
from closedloop.ledger.schema import events, messages, suppressions
from closedloop.ledger.wishes import Wishes, subscribe_again, wish, wishes_of
from closedloop.settings import Settings

DAY = dt.timedelta(days=1)
SURVEYS = {"post-close", "quarterly"}


def _wish(ledger: Ledger, person: str, wanted: set[str], days: int | None = None, at: dt.datetime = NOW) -> int:
    with ledger.write() as conn:
        return wish(conn, person, surveys=SURVEYS, wanted=wanted, at_most_every_days=days, at=at, now=at)


def _kinds(ledger: Ledger) -> list[str]:
    of_lists = ("preferred", "resubscribed", "unsubscribed", "suppressed_address")
    with ledger.read() as conn:
        return list(conn.scalars(select(events.c.kind).where(events.c.kind.in_(of_lists)).order_by(events.c.seq)))


def _claim(ledger: Ledger, now: dt.datetime = NOW) -> tuple[int, dict[str, int]]:
    programmes = {one.id: one for one in (survey(), survey(id="quarterly", cooldown={"days": 0}))}
    taken, suppressed = 0, {}
    for wave in list(delivery.pending_waves(ledger)):
        found = delivery.claim(ledger, wave, surveys=programmes, settings=Settings(_env_file=None), owner="me", now=now)
        taken += len(found.messages)
        suppressed |= found.suppressed
    return taken, suppressed


def test_wishes_stand_by_survey_and_the_same_again_says_nothing(ledger: Ledger) -> None:
    assert _wish(ledger, "k", {"quarterly"}, 180) == 2
    assert _wish(ledger, "k", {"quarterly"}, 180) == 0
    with ledger.read() as conn:
        assert wishes_of(conn, "k") == Wishes(frozenset({"post-close"}), 180, None)
        assert wishes_of(conn, "other") == Wishes()
    assert _wish(ledger, "k", SURVEYS) == 2
    with ledger.read() as conn:
        assert wishes_of(conn, "k") == Wishes()
    assert _kinds(ledger) == ["preferred"] * 4
    with pytest.raises(BadInput, match="days"):
        _wish(ledger, "k", SURVEYS, 7)


def test_who_does_not_want_a_survey_does_not_get_it_and_others_do(ledger: Ledger) -> None:
    picky, fine = candidate("picky"), candidate("fine")
    plan(ledger, [picky, fine])
    _wish(ledger, picky["person_key"], {"quarterly"})
    assert _claim(ledger) == (1, {"suppressed": 1})
    other = candidate("picky", programme=survey(id="quarterly", cooldown={"days": 0}))
    plan(ledger, [other], now=NOW + DAY)
    assert _claim(ledger, NOW + DAY) == (1, {})


@pytest.mark.parametrize(("days_later", "taken"), [(89, 0), (90, 1)])
def test_who_wants_fewer_is_asked_so_seldom_whatever_the_survey_says(
    ledger: Ledger, days_later: int, taken: int
) -> None:
    later = NOW + days_later * DAY
    first = candidate("ann")
    plan(ledger, [first])
    assert _claim(ledger) == (1, {})
    with ledger.write() as conn:
        conn.execute(messages.update().values(state="sent", state_at=NOW))
    _wish(ledger, first["person_key"], SURVEYS, 90)
    plan(ledger, [candidate("ann", programme=survey(id="quarterly", cooldown={"days": 0}), now=later)], now=later)
    assert _claim(ledger, later) == (taken, {} if taken else {"cooldown": 1})


def test_ones_own_unsubscribe_may_be_taken_back_and_made_again(ledger: Ledger) -> None:
    ann = candidate("ann")
    [invited] = plan(ledger, [ann])
    with ledger.write() as conn:
        assert not subscribe_again(conn, ann["person_key"], at=NOW, now=NOW), "nothing to take back"
        assert answers.unsubscribe(conn, invited, at=NOW, now=NOW)
        assert subscribe_again(conn, ann["person_key"], at=NOW, now=NOW)
        assert wishes_of(conn, ann["person_key"]).suppressed_for is None
        assert answers.unsubscribe(conn, invited, at=NOW, now=NOW)
        assert not answers.unsubscribe(conn, invited, at=NOW, now=NOW)
    once = ["unsubscribed", "suppressed_address"]
    assert _kinds(ledger) == [*once, "resubscribed", *once]


@pytest.mark.parametrize("reason", ["bounced", "complained", "opted_out"])
@pytest.mark.parametrize("unsubscribes_first", [True, False])
def test_what_others_said_of_an_address_stays(ledger: Ledger, reason: str, unsubscribes_first: bool) -> None:
    ann = candidate("ann")
    [invited] = plan(ledger, [ann])
    if unsubscribes_first:
        with ledger.write() as conn:
            answers.unsubscribe(conn, invited, at=NOW, now=NOW)
    lists.suppress(ledger, [ann["person_key"]], reason, now=NOW)
    with ledger.write() as conn:
        answers.unsubscribe(conn, invited, at=NOW, now=NOW)
        assert not subscribe_again(conn, ann["person_key"], at=NOW, now=NOW)
        assert conn.scalars(select(suppressions.c.reason)).all() == [reason]
        assert wishes_of(conn, ann["person_key"]).is_blocked
