"""The one place that reads the wall clock. Rules and models take the time as an argument; only edges ask here."""

from __future__ import annotations

import datetime as dt


class Clock:
    """Wall time, optionally shifted so that a run can be played on another day.

    `Clock()` is real UTC time. `Clock.starting_at(t)` reads `t` now and runs on from there at normal speed.
    """

    def __init__(self, offset: dt.timedelta = dt.timedelta(0)) -> None:
        self.offset = offset

    @classmethod
    def starting_at(cls, start: dt.datetime) -> Clock:
        return cls(as_utc(start) - dt.datetime.now(dt.UTC))

    def now(self) -> dt.datetime:
        """The time now, aware, in UTC."""
        return dt.datetime.now(dt.UTC) + self.offset


def as_utc(value: dt.datetime) -> dt.datetime:
    """`value` in UTC; a time without an offset means UTC."""
    return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def parse_time(text: str) -> dt.datetime:
    """An ISO 8601 date or time as aware UTC; a bare date means its first instant. Raises ValueError."""
    try:
        return as_utc(dt.datetime.fromisoformat(text.strip()))
    except OverflowError:  # its offset leads out of the calendar
        raise ValueError(f"not a time of the calendar: {text!r}") from None
