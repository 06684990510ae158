"""What all tools' adapters share: what is said about a file, the row that they make, and how JSON files are read."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from closedloop.errors import BadInput


@dataclass(frozen=True)
class Asked:
    """What the person at the keyboard says about a file: which survey, which question is the score, which one the comment,
    its scale where the tool does not tell, the zone of times without an offset, and the tool's description of the survey."""

    survey: str | None = None
    survey_type: str = "relationship"
    question: str | None = None
    comment: str | None = None
    scale: str | None = None
    time_zone: ZoneInfo = ZoneInfo("UTC")
    details: Mapping[str, Any] | None = None


def asked_of(*, time_zone: str = "UTC", details: Path | None = None, **said: Any) -> Asked:
    """What a person said, read: the zone by its name, the description of the survey from its file. Raises BadInput."""
    try:
        zone = ZoneInfo(time_zone)
    except (KeyError, ValueError):
        raise BadInput("no such time zone", field="time-zone", remedy="write one such as Europe/Berlin") from None
    described = None
    if details is not None:
        try:
            described = json.loads(details.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            raise BadInput("not a JSON file", file=details, field="details") from None
        if not isinstance(described, dict):
            raise BadInput("not one JSON object", file=details, field="details")
    return Asked(time_zone=zone, details=described, **said)


@dataclass(frozen=True)
class Row:
    """One answer, or one invitation without (`score` empty). `version` orders what a file says of the same `external_id`."""

    external_id: str
    survey: str
    score: str = ""
    scale: str = "0-10"
    comment: str = ""
    contact_id: str = ""
    contact_email: str = ""
    account_id: str = ""
    channel: str = ""
    submitted_at: str = ""
    version: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


def records(file: Path) -> Iterator[Mapping[str, Any]]:
    """The records of a JSON file: an array, one object, a page of an API (`data`, `items`, `responses`, `results`), or lines
    of JSON; each in an envelope of a pipeline (`stream`, `data`) or without. Raises BadInput with the line."""
    with file.open(encoding="utf-8-sig") as handle:
        head = handle.read(1 << 16).lstrip()
        handle.seek(0)
        first = head.splitlines()[0] if head else ""
        try:
            is_lines = first.startswith("{") and isinstance(json.loads(first), dict) and "\n" in head.strip()
        except ValueError:
            is_lines = False
        if is_lines:
            for number, line in enumerate(handle, 1):
                if line.strip():
                    yield from _unpacked(_parsed(line, file, number))
        else:
            yield from _unpacked(_parsed(handle.read(), file, None))


def _parsed(text: str, file: Path, line: int | None) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        at = line or getattr(error, "lineno", None)
        raise BadInput("not JSON", file=file, line=at, remedy="export it again; it may be cut off") from None


def _unpacked(value: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, list):
        for one in value:
            yield from _unpacked(one)
    elif isinstance(value, dict):
        if "stream" in value and isinstance(value.get("data"), dict):
            if "response" in str(value["stream"]):
                yield value["data"]
            return
        for name in ("data", "items", "responses", "results"):
            if isinstance(value.get(name), list):
                yield from _unpacked(value[name])
                return
        yield value
    else:
        yield {}  # no record: it keeps its place


def text_of(value: Any) -> str:
    """A value as text: whole numbers without a fraction, nothing for null, JSON for what is nested."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def moment_of(value: Any, zone: ZoneInfo) -> str:
    """A time as ISO text in UTC: seconds since 1970, or text with an offset or in `zone`; other text as it is, for the import
    to refuse."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return dt.datetime.fromtimestamp(value, dt.UTC).isoformat()
        except (ValueError, OverflowError, OSError):
            return text_of(value)
    text = text_of(value).strip()
    for attempt in (text, text.replace(": ", ":"), text.replace(" -", "-").replace(" +", "+")):
        try:
            at = dt.datetime.fromisoformat(attempt)
        except ValueError:
            continue
        with suppress(OverflowError):  # the first or the last day that there is
            return (at if at.tzinfo else at.replace(tzinfo=zone)).astimezone(dt.UTC).isoformat()
    return text


def plain(values: Mapping[str, Any] | None, *, but: Iterable[str] = ()) -> dict[str, str]:
    """What of a tool's properties becomes attributes: texts and numbers, nothing nested."""
    left_out = set(but)
    return {
        str(name): text_of(value)
        for name, value in (values or {}).items()
        if not isinstance(value, dict | list) and value is not None and name not in left_out
    }
