"""Business hours on the recipient's wall clock: weekends, holidays, midnight, odd offsets, and days when clocks change."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from closedloop.programme.definitions import BusinessHours
from closedloop.programme.hours import is_open, next_opening

OFFICE = BusinessHours(holidays=["2026-04-06"], time_zone="Europe/Berlin")
NIGHT = BusinessHours(opens="00:00", closes="06:00", days=["sun"])
EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("zone", "at", "expected"),
    [
        # Monday, 2 March 2026
        ("UTC", "2026-03-02T08:59:59", False),
        ("UTC", "2026-03-02T09:00", True),
        ("UTC", "2026-03-02T16:59:59", True),
        ("UTC", "2026-03-02T17:00", False),
        ("Europe/Berlin", "2026-03-02T08:00", True),
        ("America/New_York", "2026-03-02T13:59", False),
        ("America/New_York", "2026-03-02T14:00", True),
        # The day is the recipient's: Monday morning in Auckland is Sunday in UTC, Friday evening is Saturday in Tokyo.
        ("Pacific/Auckland", "2026-03-01T20:00", True),
        ("Asia/Tokyo", "2026-03-06T23:59", False),
        ("Pacific/Kiritimati", "2026-03-01T19:00", True),
        ("Pacific/Pago_Pago", "2026-03-07T02:00", True),
        # Half and quarter hours
        ("Asia/Kolkata", "2026-03-02T03:29", False),
        ("Asia/Kolkata", "2026-03-02T03:30", True),
        ("Asia/Kathmandu", "2026-03-02T03:14", False),
        ("Asia/Kathmandu", "2026-03-02T03:15", True),
        ("America/St_Johns", "2026-03-02T12:29", False),
        ("America/St_Johns", "2026-03-02T12:30", True),
        # Weekend, and a holiday where the recipient is
        ("UTC", "2026-03-07T12:00", False),
        ("UTC", "2026-03-08T12:00", False),
        ("UTC", "2026-04-06T12:00", False),
        ("Pacific/Auckland", "2026-04-05T22:00", False),
        ("Pacific/Auckland", "2026-04-06T22:00", True),
        # The Fridays before and the Mondays after the clocks change in Berlin (29 March, 25 October 2026)
        ("Europe/Berlin", "2026-03-27T08:00", True),
        ("Europe/Berlin", "2026-03-30T07:00", True),
        ("Europe/Berlin", "2026-03-30T06:59", False),
        ("Europe/Berlin", "2026-10-23T07:00", True),
        ("Europe/Berlin", "2026-10-26T07:59", False),
        ("Europe/Berlin", "2026-10-26T08:00", True),
        # No zone, or none that exists: that of the hours
        (None, "2026-03-02T08:00", True),
        ("", "2026-03-02T16:00", False),
        ("Middle/Earth", "2026-03-02T08:00", True),
        ("../../etc/passwd", "2026-03-02T08:00", True),
        ("America", "2026-03-02T08:00", True),
        ("\x00", "2026-03-02T08:00", True),
        (" America/New_York ", "2026-03-02T08:00", False),
    ],
)
def test_when_it_is_open(zone: str | None, at: str, expected: bool) -> None:
    assert is_open(OFFICE, zone, utc(at)) is expected


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-03-28T23:00", True),  # midnight of the Sunday whose hour from 2 to 3 is left out
        ("2026-03-29T00:59", True),
        ("2026-03-29T01:00", True),  # 3 o'clock
        ("2026-03-29T03:59", True),
        ("2026-03-29T04:00", False),
        ("2026-10-24T22:00", True),  # midnight of the Sunday whose hour from 2 to 3 comes twice
        ("2026-10-25T00:30", True),
        ("2026-10-25T01:30", True),
        ("2026-10-25T04:59", True),
        ("2026-10-25T05:00", False),
    ],
)
def test_hours_on_the_days_when_clocks_change(at: str, expected: bool) -> None:
    assert is_open(NIGHT, "Europe/Berlin", utc(at)) is expected


@pytest.mark.parametrize(
    ("hours", "zone", "at", "expected"),
    [
        (OFFICE, "UTC", "2026-03-02T10:30:15", "2026-03-02T10:30:15"),
        (OFFICE, "UTC", "2026-03-02T03:00", "2026-03-02T09:00"),
        (OFFICE, "UTC", "2026-03-06T17:00", "2026-03-09T09:00"),
        (OFFICE, "Asia/Kolkata", "2026-03-06T12:00", "2026-03-09T03:30"),
        # Over the weekend of Easter with its holiday on Monday, and over the change of the clocks
        (OFFICE, "Europe/Berlin", "2026-04-03T18:00", "2026-04-07T07:00"),
        (OFFICE, "Europe/Berlin", "2026-03-27T18:00", "2026-03-30T07:00"),
        (OFFICE, "Europe/Berlin", "2026-10-23T18:00", "2026-10-26T08:00"),
        (NIGHT, "UTC", "2026-03-02T00:00", "2026-03-08T00:00"),
        # Opens at an hour that does not exist, closes in one that comes twice
        ({"opens": "02:30", "days": EVERY_DAY}, "Europe/Berlin", "2026-03-29T00:10:20", "2026-03-29T01:00"),
        (
            {"opens": "01:00", "closes": "02:30", "days": EVERY_DAY},
            "Europe/Berlin",
            "2026-10-25T00:40",
            "2026-10-25T01:00",
        ),
        # Midnight itself does not exist
        ({"opens": "00:00", "days": EVERY_DAY}, "Asia/Beirut", "2026-03-28T21:00", "2026-03-28T22:00"),
    ],
)
def test_when_it_opens_next(hours: BusinessHours | dict, zone: str, at: str, expected: str) -> None:
    assert next_opening(BusinessHours.model_validate(hours), zone, utc(at)) == utc(expected)


def test_where_every_open_day_is_a_holiday_it_opens_after_the_last() -> None:
    first = dt.date(2026, 3, 1)
    sundays = [first + dt.timedelta(weeks=week) for week in range(200)]
    hours = BusinessHours(days=["sun"], holidays=sundays)
    assert next_opening(hours, "UTC", utc("2026-03-01T00:00")) == utc("2029-12-30T09:00")


@settings(max_examples=60)
@given(
    zone=st.sampled_from(["Europe/Berlin", "America/Havana", "Asia/Beirut", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    at=st.integers(0, 365 * 24 * 60 - 1).map(lambda minute: utc("2026-01-01T00:00") + dt.timedelta(minutes=minute)),
    opens=st.integers(0, 22),
    minutes=st.integers(0, 59),
)
def test_the_next_opening_is_open_and_nothing_before_it(zone: str, at: dt.datetime, opens: int, minutes: int) -> None:
    hours = BusinessHours(opens=f"{opens:02}:{minutes:02}", closes=f"{opens + 1:02}:{minutes:02}", days=["sat", "sun"])
    found = next_opening(hours, zone, at)
    assert found is not None and is_open(hours, zone, found)
    before = at
    while before < found:
        assert not is_open(hours, zone, before)
        before += dt.timedelta(minutes=7)
