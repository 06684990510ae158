"""What the mail server wrote down about our messages: the evidence for `closedloop reconcile`.

Two forms are read: the log of Postfix (syslog lines), and lines of JSON with `message_id` and `at`, into which the report of
any provider can be turned.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable
from pathlib import Path

from closedloop.clock import as_utc
from closedloop.errors import BadInput

_CLEANUP = re.compile(r"postfix[\w/-]*/cleanup\[\d+\]: \w+: message-id=<(?P<id>[^@>\s]+)@[^>\s]*>")
_ISO = re.compile(r"^(?P<at>\d{4}-\d\d-\d\dT\S+)\s")
_SYSLOG = re.compile(r"^(?P<at>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)\s")


class ServerLog:
    """Message ids that a server accepted, and the time of which it knows all.

    Postfix queues a message, and so notes its Message-ID, before it answers 250. What a log covers is from its first line to
    its last; a log that was rotated away in between must not be read as one (`complete=False`: it proves only what came).
    """

    def __init__(self, name: str, ids: set[str], begins: dt.datetime | None, ends: dt.datetime | None) -> None:
        self.name, self._ids, self._begins, self._ends = name, ids, begins, ends

    def accepted(self, message_ids: Iterable[str]) -> set[str]:
        """Those of our message ids that are in the log."""
        return self._ids & set(message_ids)

    def covers(self, begins: dt.datetime, ends: dt.datetime) -> bool:
        """Whether all of this time lies within the log."""
        return self._begins is not None and self._ends is not None and self._begins <= begins and ends <= self._ends


def read_log(file: Path, *, complete: bool, now: dt.datetime) -> ServerLog:
    """The log in a file, of either form. `complete`: it has every message between its first line and its last.

    Lines of syslog have no year: it is that of `now`, or the year before where the month lies ahead. Their times are taken as
    UTC. Raises BadInput for a file that cannot be read, or with no line of either form.
    """
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", file=file) from None
    ids: set[str] = set()
    times: list[dt.datetime] = []
    for number, line in enumerate(lines, 1):
        if line.lstrip().startswith("{"):
            found, at = _json_line(line, file, number)
        else:
            match = _CLEANUP.search(line)
            found, at = match["id"] if match else None, _time_of(line, now)
        if found:
            ids.add(found)
        if at:
            times.append(at)
    if not times:
        raise BadInput(
            "holds no line of a mail server's log",
            file=file,
            remedy='give the log of Postfix, or lines like {"message_id": "...", "at": "2026-03-02T09:00:00Z"}',
        )
    return ServerLog(file.name, ids, min(times) if complete else None, max(times) if complete else None)


def _json_line(line: str, file: Path, number: int) -> tuple[str | None, dt.datetime]:
    try:
        row = json.loads(line)
        at = as_utc(dt.datetime.fromisoformat(row["at"]))
        found = row.get("message_id")
        return (str(found).strip("<> ").partition("@")[0] if found else None), at
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(
            "not a line of a message log", file=file, line=number, remedy="each line needs `at`, an ISO time"
        ) from None


def _time_of(line: str, now: dt.datetime) -> dt.datetime | None:
    if match := _ISO.match(line):
        try:
            return as_utc(dt.datetime.fromisoformat(match["at"]))
        except ValueError:
            return None
    if not (match := _SYSLOG.match(line)):
        return None
    try:
        at = dt.datetime.strptime(f"{now.year} {match['at']}", "%Y %b %d %H:%M:%S").replace(tzinfo=dt.UTC)
    except ValueError:
        return None
    return at if at <= now + dt.timedelta(days=1) else at.replace(year=now.year - 1)
