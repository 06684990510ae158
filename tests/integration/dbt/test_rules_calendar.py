"""Schedules on the days that are not like others: leap days, ends of months, and days on which the clocks change."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from typing import Any

import pytest

from tests.support import rules_model as model
from tests.support.rules_workshop import RulesWorkshop, survey

pytestmark = pytest.mark.slow

SINCE = dt.datetime(2011, 1, 1)  # noqa: DTZ001
UNTIL = dt.datetime(2028, 12, 31, 12)  # noqa: DTZ001
ZONES = (
    *("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo", "Pacific/Apia"),
    *("Pacific/Kiritimati", "America/Havana", "Atlantic/Azores"),
)
TRIGGERS: dict[str, dict[str, Any]] = {
    "monthly": {"event": "schedule_monthly"},
    "on-the-31st": {"event": "schedule_monthly", "day_of_month": 31},
    "quarterly": {"event": "schedule_quarterly"},
    "biannual": {"event": "schedule_biannual"},
    "annual": {"event": "schedule_annual"},
    "leap-day": {"event": "fixed_dates", "dates": ["02-29"]},
    "next-day": {"event": "fixed_dates", "dates": ["03-28"], "delay_days": 1},
    # Each day on which some zone changes its clocks.
    "clocks": {
        "event": "fixed_dates",
        "dates": ["02-18", "03-08", "03-29", "10-25", "11-01", "11-04", "12-30", "12-31"],
    },
}
BORN = {
    "leap": dt.datetime(2020, 2, 29, 12),  # noqa: DTZ001
    "last": dt.datetime(2025, 1, 31, 12),  # noqa: DTZ001
    "night": dt.datetime(2025, 8, 31, 23, 30),  # noqa: DTZ001
    "early": dt.datetime(2010, 5, 30, 12),  # noqa: DTZ001
}


@pytest.fixture(scope="module")
def due(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str, str], dict[dt.date, dt.datetime]]:
    """When each contact is due, by its name, zone and survey, and by the day of the occurrence."""
    workshop = RulesWorkshop(tmp_path_factory.mktemp("calendar"))
    surveys = [survey(name, triggers=[trigger], max_age_days=365) for name, trigger in TRIGGERS.items()]
    facts: list[Any] = [model.Programme(one, SINCE, "active") for one in surveys]
    for zone in ZONES:
        for name, born in BORN.items():
            one = model.Contact(f"{name} {zone}", born, email="a@b.example", time_zone=zone)
            facts.append(model.Version(model.Contact, one.id, born, born, one))
    workshop.append(facts)
    workshop.build(UNTIL, UNTIL, "+int_due")
    found: dict[tuple[str, str, str], dict[dt.date, dt.datetime]] = defaultdict(dict)
    for contact_id, survey_id, day, due_at in workshop.query(
        "select contact_id, survey_id, occurred_on, due_at from intermediate.int_due"
    ):
        name, zone = contact_id.split(" ")
        found[name, zone, survey_id][day] = due_at
    return found


def test_every_day_begins_at_midnight_where_the_contact_is(due: dict[Any, dict[dt.date, dt.datetime]]) -> None:
    assert {(zone, survey_id) for _, zone, survey_id in due} == {(zone, name) for zone in ZONES for name in TRIGGERS}
    wrong = []
    for (name, zone, survey_id), days in due.items():
        delay = dt.timedelta(days=TRIGGERS[survey_id].get("delay_days", 0))
        for day, due_at in days.items():
            if due_at != model.midnight(day + delay, zone):
                wrong.append((name, zone, survey_id, day, due_at, model.midnight(day + delay, zone)))
    assert not wrong, wrong[:5]


@pytest.mark.parametrize(
    ("zone", "day", "due_at"),
    [
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00"),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00"),
        ("America/New_York", "2026-03-08", "2026-03-08T05:00"),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00"),
        ("Asia/Kolkata", "2026-03-29", "2026-03-28T18:30"),
        # There was no midnight: the day began at one o'clock.
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00"),
        ("America/Sao_Paulo", "2018-02-18", "2018-02-18T03:00"),
        # There was no 30th: the island went over the date line.
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00"),
        ("Pacific/Kiritimati", "2026-12-31", "2026-12-30T10:00"),
        # Midnight came twice: the day began with the first.
        ("America/Havana", "2026-11-01", "2026-11-01T04:00"),
        ("Atlantic/Azores", "2026-10-25", "2026-10-25T00:00"),
    ],
)
def test_a_day_on_which_clocks_change(due: dict[Any, Any], zone: str, day: str, due_at: str) -> None:
    assert due["early", zone, "clocks"][dt.date.fromisoformat(day)] == dt.datetime.fromisoformat(due_at)


@pytest.mark.parametrize(
    ("name", "zone", "survey_id", "first", "days"),
    [
        ("leap", "UTC", "annual", "2023-01-01", ["2023-02-28", "2024-02-29", "2025-02-28", "2026-02-28"]),
        ("leap", "UTC", "monthly", "2024-01-01", ["2024-01-29", "2024-02-29", "2024-03-29"]),
        ("leap", "UTC", "leap-day", "2027-01-01", ["2027-02-28", "2028-02-29"]),
        ("last", "UTC", "monthly", "2025-01-01", ["2025-02-28", "2025-03-31", "2025-04-30", "2025-05-31"]),
        ("last", "UTC", "quarterly", "2025-01-01", ["2025-05-01", "2025-07-30", "2025-10-28"]),
        ("last", "UTC", "biannual", "2025-01-01", ["2025-07-30", "2026-01-26"]),
        ("last", "UTC", "on-the-31st", "2025-01-01", ["2025-02-28", "2025-03-31", "2025-04-30"]),
        # The first day is that of the contact's own calendar.
        ("night", "America/New_York", "annual", "2025-01-01", ["2026-08-31", "2027-08-31"]),
        ("night", "Europe/Berlin", "annual", "2025-01-01", ["2026-09-01", "2027-09-01"]),
        ("night", "Pacific/Kiritimati", "monthly", "2025-01-01", ["2025-10-01", "2025-11-01"]),
    ],
)
def test_days_of_a_schedule(
    due: dict[Any, dict[dt.date, dt.datetime]], name: str, zone: str, survey_id: str, first: str, days: list[str]
) -> None:
    found = sorted(str(day) for day in due[name, zone, survey_id] if str(day) >= first)
    assert found[: len(days)] == days
