"""What a CRM must be able to do: take records by a key, so that the same record twice is the same record once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol


@dataclass(frozen=True)
class Record:
    """One record as the CRM knows it: `key` is the field that names it, an external id of ours or the CRM's own `Id`. `kind` is
    what it is to us: records of one kind have the same fields."""

    kind: str
    object: str
    key: str
    key_value: str
    fields: Mapping[str, Any] = field(repr=False)
    """Texts, numbers, true or false; None or '' is empty."""


@dataclass(frozen=True)
class Outcome:
    """What became of a record: `done` (with the CRM's id where it gave one), `failed` for good, or `later`.

    Reasons name codes and fields, never a value: they are shown and exported.
    """

    state: Literal["done", "failed", "later"]
    reason: str | None = None
    record_id: str | None = None


class SinkDown(Exception):
    """Nothing can be written now: the server is away, or a limit is reached. `retry_at` (UTC) says when to come back."""

    def __init__(self, reason: str, retry_at: dt.datetime | None = None) -> None:
        super().__init__(reason)
        self.reason, self.retry_at = reason, retry_at


class Sink(Protocol):
    """One CRM, or what stands for it."""

    name: str
    batch: int
    """So many actions at a time suit it."""

    def write(self, batch: int, records: Sequence[Record]) -> list[Outcome]:
        """Write records, each by its key, and say what became of each, in their order.

        `batch` is the same when a batch is written again after a crash. Raises SinkDown when nothing can be written; one bad
        record never raises.
        """
        ...


def groups(records: Sequence[Record], largest: int) -> Iterator[list[int]]:
    """Places of records that can be written by one call: of one kind, object and key, so with the same fields and each key once;
    at most `largest`."""
    found: dict[tuple[str, str, str], list[int]] = {}
    for place, record in enumerate(records):
        found.setdefault((record.kind, record.object, record.key), []).append(place)
    for places in found.values():
        for start in range(0, len(places), largest):
            yield places[start : start + largest]
