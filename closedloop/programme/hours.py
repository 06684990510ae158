"""When a recipient may get mail: business hours on the wall clock where the recipient is."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from zoneinfo import ZoneInfo

from closedloop.programme.definitions import WEEKDAYS, BusinessHours

LOOK_AHEAD_DAYS = 1500
"""Even 200 holidays, all of them on the only open weekday, end within this time."""

_DAY, _MINUTE = dt.timedelta(days=1), dt.timedelta(minutes=1)


def is_open(hours: BusinessHours, zone: str | None, at: dt.datetime) -> bool:
    """Whether `at` (aware) is within the hours in `zone`; where that is empty or unknown, in the hours' own zone.

    The hours are those of the wall clock: `opens` is the first open minute, `closes` the first closed one.
    """
    local = at.astimezone(_place(hours, zone))
    return _is_working_day(hours, local.date()) and hours.opens <= f"{local:%H:%M}" < hours.closes


def next_opening(hours: BusinessHours, zone: str | None, at: dt.datetime) -> dt.datetime | None:
    """The first moment from `at` on that is open, in UTC; `at` itself when it is, None when none will come."""
    if is_open(hours, zone, at):
        return at.astimezone(dt.UTC)
    place = _place(hours, zone)
    opens = dt.time.fromisoformat(hours.opens)
    day = at.astimezone(place).date() - _DAY  # where clocks are set back over midnight, the day before comes again
    for _ in range(LOOK_AHEAD_DAYS):
        if _is_working_day(hours, day):
            begins, ends = _utc(day, dt.time.min, place), _utc(day + _DAY, dt.time.min, place)
            if ends - begins == _DAY:
                if (opening := _utc(day, opens, place)) >= at:
                    return opening
            else:  # the clocks change: the hour may not exist, or come twice
                minute = max(begins, at.astimezone(dt.UTC).replace(second=0, microsecond=0))
                while minute < ends:
                    if minute >= at and is_open(hours, zone, minute):
                        return minute
                    minute += _MINUTE
        day += _DAY
    return None


def after_open_hours(hours: BusinessHours | None, start: dt.datetime, count: float) -> dt.datetime:
    """The moment (UTC) when `count` open hours from `start` on are over; calendar hours where `hours` is None.

    Raises ValueError when they never are: all open days are holidays.
    """
    left, at = dt.timedelta(hours=count), start.astimezone(dt.UTC)
    if hours is None:
        return at + left
    place = _place(hours, None)
    for _ in range(LOOK_AHEAD_DAYS):
        opening = next_opening(hours, None, at)
        if opening is None:
            break
        day = opening.astimezone(place).date()
        closing = max(_utc(day, dt.time.fromisoformat(hours.closes), place), opening)
        if left <= closing - opening:
            return opening + left
        left -= closing - opening
        at = max(closing, opening + _MINUTE)
    raise ValueError("the working hours never last that long")


def _is_working_day(hours: BusinessHours, day: dt.date) -> bool:
    return WEEKDAYS[day.weekday()] in hours.days and day not in hours.holidays


def _utc(day: dt.date, time: dt.time, place: ZoneInfo) -> dt.datetime:
    return dt.datetime.combine(day, time, place).astimezone(dt.UTC)


def _place(hours: BusinessHours, zone: str | None) -> ZoneInfo:
    return _zone((zone or "").strip()) or _zone(hours.time_zone) or ZoneInfo("UTC")


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo | None:
    """The zone of this name. CRM fields hold anything, also what would be a path outside the database."""
    try:
        return ZoneInfo(name) if name else None
    except (KeyError, ValueError, OSError):  # ZoneInfoNotFoundError is a KeyError
        return None
