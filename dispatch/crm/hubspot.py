"""HubSpot as a sink: batches of up to 100 records, and their associations."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from typing import Any

from closedloop.errors import CrmAway
from closedloop.hubspot import HubSpot, HubSpotRefuses, named_in
from dispatch.crm.sink import Outcome, Record, SinkDown, groups

LARGEST = 100
"""Records in one call."""
OWN_ID = "hs_object_id"
"""The key of what is there already; any other key is a property whose values are unique."""
LINK = ".id"
"""A field `contacts.id` is no property: it associates the record with that contact."""
LIMIT_WAIT = dt.timedelta(hours=1)
LATER = ("CONFLICT", "RATE_LIMITS", "INTERNAL_ERROR")
"""Categories of errors that pass by themselves."""

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+\+00:00")


class HubSpotSink:
    """Upserts by a unique property, updates by HubSpot's own id."""

    name = "hubspot"
    batch = 200

    def __init__(self, hubspot: HubSpot, *, now: dt.datetime) -> None:
        self._hubspot, self._now = hubspot, now

    def write(self, batch: int, records: Sequence[Record]) -> list[Outcome]:
        """Write records, kind by kind. Raises SinkDown when HubSpot is away or a limit is reached: what was written then is
        written again, by the same keys."""
        outcomes: dict[int, Outcome] = {}
        try:
            for places in groups(records, LARGEST):
                some = [records[place] for place in places]
                outcomes |= dict(zip(places, self._associated(some, self._written(some)), strict=True))
        except CrmAway as away:
            raise SinkDown(away.reason, self._now + LIMIT_WAIT if away.is_limit else None) from None
        return [outcomes[place] for place in range(len(records))]

    def _written(self, records: Sequence[Record]) -> list[Outcome]:
        """One call. A batch that is refused as a whole is halved until the bad record is alone."""
        first = records[0]
        verb = "update" if first.key == OWN_ID else "upsert"
        inputs = [_input(record, number) for number, record in enumerate(records)]
        try:
            reply = self._hubspot.call("POST", f"crm/v3/objects/{first.object}/batch/{verb}", json={"inputs": inputs})
        except HubSpotRefuses as refused:
            if len(records) == 1:
                return [_refused(refused.code, refused.named, first)]
            half = len(records) // 2
            return self._written(records[:half]) + self._written(records[half:])
        return _outcomes(records, reply)

    def _associated(self, records: Sequence[Record], outcomes: list[Outcome]) -> list[Outcome]:
        """Associate what was written with what its fields name; making an association twice changes nothing."""
        for field in [name for name in records[0].fields if name.endswith(LINK)]:
            other = field.removesuffix(LINK)
            links = {
                place: (outcome.record_id, str(record.fields[field]))
                for place, (record, outcome) in enumerate(zip(records, outcomes, strict=True))
                if outcome.state == "done" and record.fields[field]
            }
            if links:
                for place in self._unlinked(records[0].object, other, links):
                    outcomes[place] = Outcome("failed", f"not associated: {other}", outcomes[place].record_id)
        return outcomes

    def _unlinked(self, kind: str, other: str, links: dict[int, tuple[str | None, str]]) -> list[int]:
        """The places of links that were refused; found one by one when HubSpot refuses some of a batch."""
        inputs = [{"from": {"id": mine}, "to": {"id": theirs}} for mine, theirs in links.values()]
        path = f"crm/v4/associations/{kind}/{other}/batch/associate/default"
        try:
            refused = bool(self._hubspot.call("POST", path, json={"inputs": inputs}).get("errors"))
        except HubSpotRefuses:
            refused = True
        if not refused:
            return []
        if len(links) == 1:
            return list(links)
        return [place for place, link in links.items() for _ in self._unlinked(kind, other, {place: link})]


def _input(record: Record, number: int) -> dict[str, Any]:
    """The number comes back with what became of the record."""
    values = {name: _text(value) for name, value in record.fields.items() if not name.endswith(LINK)}
    by = {} if record.key == OWN_ID else {"idProperty": record.key}
    mine = {} if record.key == OWN_ID else {record.key: record.key_value}
    return {"id": record.key_value, **by, "properties": {**mine, **values}, "objectWriteTraceId": str(number)}


def _outcomes(records: Sequence[Record], reply: dict[str, Any]) -> list[Outcome]:
    """What became of each, by the number that was sent along; what the reply does not tell of has failed."""
    found: dict[int, Outcome] = {}
    for error in reply.get("errors") or ():
        traces = (error.get("context") or {}).get("objectWriteTraceId") or ()
        for place in (int(trace) for trace in traces if str(trace).isdigit() and int(trace) < len(records)):
            found[place] = _refused(str(error.get("category") or "UNKNOWN"), named_in(error), records[place])
    for result in reply.get("results") or ():
        trace = str(result.get("objectWriteTraceId") or "")
        if trace.isdigit() and int(trace) < len(records):
            found[int(trace)] = Outcome("done", record_id=str(result["id"]))
    return [found.get(place, Outcome("failed", "OBJECT_NOT_FOUND")) for place in range(len(records))]


def _refused(code: str, named: frozenset[str], record: Record) -> Outcome:
    fields = ", ".join(sorted(named & set(record.fields)))
    return Outcome("later" if code in LATER else "failed", f"{code}: {fields}" if fields else code)


def _text(value: Any) -> str:
    """HubSpot takes texts alone; an empty one clears. Times end in Z."""
    if isinstance(value, str) and _TIME.fullmatch(value):
        return value.removesuffix("+00:00") + "Z"
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
