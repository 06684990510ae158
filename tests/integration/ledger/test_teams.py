"""Taking turns: fair among those present, whoever was away, came back or is new."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from ledger_world import NOW
from sqlalchemy import delete

from closedloop.errors import BadInput
from closedloop.ledger import Ledger, teams
from closedloop.ledger.schema import absences, turns

DAY = dt.timedelta(days=1)
TEAM = ["ann@x.example", "Ben@x.example", "cyd@x.example", "dan@x.example"]


def _turn(ledger: Ledger, now: dt.datetime = NOW, members: list[str] = TEAM) -> str | None:
    with ledger.write() as conn:
        return teams.take_turn(conn, "support", members, now=now)


def test_in_the_order_of_the_team_and_round(ledger: Ledger):
    assert [_turn(ledger) for _ in range(8)] == TEAM * 2


def test_who_is_away_is_passed_over_and_need_not_make_up_for_it(ledger: Ledger):
    teams.record_absence(ledger, "BEN@x.example", since=NOW, until=NOW + 7 * DAY, by="Max", now=NOW)
    assert "Ben@x.example" not in [_turn(ledger, NOW + DAY) for _ in range(30)]
    back = Counter(_turn(ledger, NOW + 8 * DAY) for _ in range(40))
    assert set(back.values()) <= {9, 10, 11}


def test_who_is_new_begins_where_the_others_stand(ledger: Ledger):
    for _ in range(30):
        _turn(ledger, members=TEAM[:3])
    assert set(Counter(_turn(ledger) for _ in range(40)).values()) == {10}


def test_nobody_is_there(ledger: Ledger):
    for member in TEAM:
        teams.record_absence(ledger, member, since=NOW, until=NOW + DAY, by="Max", now=NOW)
    assert _turn(ledger) is None
    assert teams.end_absence(ledger, TEAM[0], now=NOW)
    assert not teams.end_absence(ledger, TEAM[0], now=NOW)
    assert _turn(ledger) == TEAM[0]
    assert len(teams.list_absences(ledger, now=NOW)) == 3


def test_absences_that_cannot_be(ledger: Ledger):
    for email, until in (("ann@x.example", NOW), ("ann", NOW + DAY)):
        with pytest.raises(BadInput):
            teams.record_absence(ledger, email, since=NOW, until=until, by="Max", now=NOW)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(away=some.lists(some.sets(some.sampled_from(range(4)), max_size=3), min_size=1, max_size=30))
def test_turns_are_fair_whoever_is_away(ledger: Ledger, away: list[set[int]]):
    """Of two who were present for the same follow-ups, neither ever got two more than the other."""
    with ledger.write() as conn:
        conn.execute(delete(turns))
        conn.execute(delete(absences))
    taken: Counter[int] = Counter()
    for number, absent in enumerate(away):
        now = NOW + number * DAY
        for one in absent:
            teams.record_absence(ledger, TEAM[one], since=now, until=now + DAY, by="Max", now=now)
        chosen = _turn(ledger, now)
        assert chosen is not None and TEAM.index(chosen) not in absent
        taken[TEAM.index(chosen)] += 1
        for one in range(4):
            for other in range(one):
                if all((one in gone) == (other in gone) for gone in away[: number + 1]):
                    assert abs(taken[one] - taken[other]) <= 1
