"""Salesforce as a sink: composite collections of up to 200 records, each with a result of its own; where many wait, jobs of the
Bulk API 2.0."""

from __future__ import annotations

import csv
import datetime as dt
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from closedloop.errors import BadInput, CrmAway
from closedloop.salesforce import told_apart
from dispatch.crm.sink import Outcome, Record, SinkDown, groups

if TYPE_CHECKING:
    from simple_salesforce import Salesforce

LARGEST = 200
"""Records in one call of a composite collection."""
BULK_FROM = 2_000
"""So many records of one kind or more go out by a job of the Bulk API 2.0: three calls and some waiting, in place of ten and more."""
LARGEST_JOB = 20_000
"""Records in one job: with the longest verbatims below the 100 MB that one upload may have in nearly all cases, and else the
records go out in collections."""
POLL_SECONDS = 1.0
"""Between two looks at a job; the library waits longer each time."""
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
    batch = 10_000

    def __init__(self, salesforce: Salesforce, *, now: dt.datetime) -> None:
        self._salesforce, self._now = salesforce, now

    def write(self, batch: int, records: Sequence[Record]) -> list[Outcome]:
        """Write records, object by object. Raises SinkDown when Salesforce is away or a limit is reached: what was written
        then is written again, by the same keys."""
        outcomes: dict[int, Outcome] = {}
        try:
            for places in groups(records, LARGEST_JOB):
                outcomes |= dict(zip(places, self._group([records[place] for place in places]), strict=True))
        except CrmAway as away:
            raise SinkDown(away.reason, self._now + LIMIT_WAIT if away.is_limit else None) from None
        return [outcomes[place] for place in range(len(records))]

    def _group(self, records: Sequence[Record]) -> list[Outcome]:
        """Records of one kind: by a job where they are many. What a job did not do goes out in collections, whose refusals tell
        code and fields apart."""
        many = len(records) >= BULK_FROM and records[0].object != NOTIFICATION
        made = self._job(records) if many else {}
        rest = [record for record in records if record.key_value not in made]
        told = [
            outcome for start in range(0, len(rest), LARGEST) for outcome in self._call(rest[start : start + LARGEST])
        ]
        found = made | {record.key_value: outcome for record, outcome in zip(rest, told, strict=True)}
        return [found[record.key_value] for record in records]

    def _job(self, records: Sequence[Record]) -> dict[str, Outcome]:
        """One job of the Bulk API 2.0: what it wrote, by the records' keys; nothing where it failed as a whole, say because of a
        field that is not there."""
        from simple_salesforce.bulk2 import Operation, ResultsType
        from simple_salesforce.exceptions import SalesforceBulkV2LoadError, SalesforceOperationError

        key = records[0].key
        way, named = (Operation.update, None) if key == "Id" else (Operation.upsert, key)
        try:
            with told_apart():
                try:
                    client = getattr(
                        self._salesforce.bulk2, records[0].object
                    )._client  # its own methods lose the results
                    job = client.create_job(way, external_id_field=named)["id"]
                    client.upload_job_data(job, _csv(records))
                    client.close_job(job)
                    client.wait_for_job(job, False, POLL_SECONDS)
                    text = client.get_ingest_results(job, ResultsType.successful)
                except (SalesforceOperationError, SalesforceBulkV2LoadError):
                    return {}
        except BadInput:  # no such object, no right to use jobs, a session that ended: collections tell, or log in anew
            return {}
        rows = csv.DictReader(io.StringIO(text, newline=""))
        return {row[key]: Outcome("done", record_id=row["sf__Id"] or None) for row in rows}

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
        body = {"inputs": [_notification(record) for record in records]}
        try:
            with told_apart():
                results = self._salesforce.restful(path, method="POST", json=body)
        except BadInput as refused:
            return [Outcome("failed", refused.problem)] * len(records)
        return [
            Outcome("done") if one.get("isSuccess") else Outcome("failed", "the notification was refused")
            for one in results or []
        ]


def _notification(record: Record) -> dict[str, Any]:
    """Recipients are a list even if there is one."""
    to = record.fields.get("recipientIds")
    return {**record.fields, "recipientIds": [to] if to else []}


def _body(record: Record) -> dict[str, Any]:
    """A record as Salesforce reads it: empty fields are null, which clears them."""
    fields = {name: None if value == "" else value for name, value in record.fields.items()}
    return {"attributes": {"type": record.object}, record.key: record.key_value, **fields}


def _csv(records: Sequence[Record]) -> str:
    """As a job reads it: `#N/A` clears a field, an empty cell would leave it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([records[0].key, *records[0].fields])
    for record in records:
        writer.writerow([record.key_value, *(_cell(value) for value in record.fields.values())])
    return out.getvalue()


def _cell(value: Any) -> str:
    return "#N/A" if value in (None, "") else str(value).lower() if isinstance(value, bool) else str(value)


def _outcome(result: dict[str, Any]) -> Outcome:
    if result.get("success"):
        return Outcome("done", record_id=result.get("id"))
    errors = result.get("errors") or [{}]
    code = str(errors[0].get("statusCode") or "UNKNOWN")
    fields = ", ".join(sorted(str(name) for name in errors[0].get("fields") or ()))
    return Outcome("later" if code in LATER else "failed", f"{code}: {fields}" if fields else code)
