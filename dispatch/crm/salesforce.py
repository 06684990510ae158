"""Salesforce as a sink: composite collections of up to 200 records, each with a result of its own."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from closedloop.errors import BadInput
from closedloop.salesforce import SalesforceAway, told_apart
from dispatch.crm.sink import Outcome, Record, SinkDown

if TYPE_CHECKING:
    from simple_salesforce import Salesforce

LARGEST = 200
"""Records in one call of a composite collection."""
LATER = (
    *("UNABLE_TO_LOCK_ROW", "DUPLICATE_VALUE", "SERVER_UNAVAILABLE", "REQUEST_RUNNING_TOO_LONG", "QUERY_TIMEOUT"),
    *("PROCESSING_HALTED", "ALL_OR_NONE_OPERATION_ROLLED_BACK", "LIMIT_EXCEEDED"),
)
"""Codes that pass by themselves. Two that create the same external id at once race: one gets DUPLICATE_VALUE, and next time
finds what the other made."""
LIMIT_WAIT = dt.timedelta(hours=1)
NOTIFICATION = "CustomNotification"
"""The object that stands for a push message: it is no record, but an action of Salesforce's."""


class SalesforceSink:
    """Upserts by external id, updates by Id. `clock` says when a limit is looked at again."""

    name = "salesforce"

    def __init__(self, salesforce: Salesforce, *, now: dt.datetime) -> None:
        self._salesforce, self._now = salesforce, now

    def write(self, batch: int, records: Sequence[Record]) -> list[Outcome]:
        """Write records, object by object. Raises SinkDown when Salesforce is away or a limit is reached: what was written
        then is written again, by the same keys."""
        outcomes: dict[int, Outcome] = {}
        try:
            for places in _groups(records):
                for start in range(0, len(places), LARGEST):
                    some = places[start : start + LARGEST]
                    for place, outcome in zip(some, self._call([records[place] for place in some]), strict=True):
                        outcomes[place] = outcome
        except SalesforceAway as away:
            raise SinkDown(away.reason, self._now + LIMIT_WAIT if away.is_limit else None) from None
        return [outcomes[place] for place in range(len(records))]

    def _call(self, records: Sequence[Record]) -> list[Outcome]:
        """One call for records of one object and key."""
        first = records[0]
        if first.object == NOTIFICATION:
            return self._notify(records)
        by_id = first.key == "Id"
        path = "composite/sobjects" if by_id else f"composite/sobjects/{first.object}/{first.key}"
        body = {"allOrNone": False, "records": [_body(record) for record in records]}
        try:
            with told_apart():
                results = self._salesforce.restful(path, method="PATCH", json=body)
        except BadInput as refused:  # the object or its key is not there: none of these can be written
            return [Outcome("failed", refused.problem)] * len(records)
        return [_outcome(result) for result in results or []]

    def _notify(self, records: Sequence[Record]) -> list[Outcome]:
        path = "actions/standard/customNotificationAction"
        body = {"inputs": [dict(record.fields) for record in records]}
        try:
            with told_apart():
                results = self._salesforce.restful(path, method="POST", json=body)
        except BadInput as refused:
            return [Outcome("failed", refused.problem)] * len(records)
        return [
            Outcome("done") if one.get("isSuccess") else Outcome("failed", "the notification was refused")
            for one in results or []
        ]


def _groups(records: Sequence[Record]) -> list[list[int]]:
    """Places of records of one object and key, in the order in which they come first."""
    groups: dict[tuple[str, str], list[int]] = {}
    for place, record in enumerate(records):
        groups.setdefault((record.object, record.key), []).append(place)
    return list(groups.values())


def _body(record: Record) -> dict[str, Any]:
    """A record as Salesforce reads it: empty fields are null, which clears them."""
    fields = {name: None if value == "" else value for name, value in record.fields.items()}
    return {"attributes": {"type": record.object}, record.key: record.key_value, **fields}


def _outcome(result: dict[str, Any]) -> Outcome:
    if result.get("success"):
        return Outcome("done", record_id=result.get("id"))
    errors = result.get("errors") or [{}]
    code = str(errors[0].get("statusCode") or "UNKNOWN")
    fields = ", ".join(sorted(str(name) for name in errors[0].get("fields") or ()))
    return Outcome("later" if code in LATER else "failed", f"{code}: {fields}" if fields else code)
