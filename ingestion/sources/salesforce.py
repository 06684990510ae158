"""Salesforce as a source: by REST, and from many records on by a job of the Bulk API 2.0."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from closedloop.errors import BadInput, CrmAway
from closedloop.lake.catalogue import CRM_KEYS
from closedloop.salesforce import NAME, told_apart
from ingestion.sources.changes import ObjectNotThere, Progress, Wanted

if TYPE_CHECKING:
    from simple_salesforce import Salesforce

T = TypeVar("T")

BULK_FROM = 20_000
"""So many records or more are read by a job of the Bulk API 2.0, in chunks."""
CHUNK = 50_000
TRIES = 4
"""So often a page is asked for; a query whose place was lost begins anew as often."""
POLL_SECONDS = 1.0
"""Between two looks at a job; the library waits longer each time."""


class SalesforceReader:
    """Reads by system modification time, deleted records among it."""

    name = NAME

    def __init__(self, salesforce: Salesforce) -> None:
        self._salesforce = salesforce

    def read(self, wanted: Wanted, file: Path) -> int:
        """Write what changed of one object to `file`: the fields that the mapping and the models read, and every custom field."""
        query = _query(wanted.api_name, self._fields(wanted), wanted.changed_after)
        return _read(self._salesforce, wanted.api_name, query, file, wanted.tell)

    def _fields(self, wanted: Wanted) -> list[str]:
        try:
            described = _patiently(lambda: self._salesforce.restful(f"sobjects/{wanted.api_name}/describe"))
        except BadInput:
            raise ObjectNotThere from None
        known = {one["name"]: one["type"] for one in (described or {}).get("fields", ())}
        wanted.compare(known)
        by_name = {field.casefold(): field for field in known}
        read = {name.casefold() for name in (*CRM_KEYS, *wanted.filled, *wanted.columns)}
        own = {
            field
            for field, kind in known.items()
            if field.endswith("__c") and kind not in ("base64", "address", "location")
        }
        return sorted({by_name[name] for name in read if name in by_name} | own)


def _query(api_name: str, fields: Sequence[str], since: dt.datetime | None) -> str:
    where = f" WHERE SystemModstamp >= {since:%Y-%m-%dT%H:%M:%SZ}" if since else ""
    return f"SELECT {', '.join(fields)} FROM {api_name}{where} ORDER BY SystemModstamp, Id"


def _read(salesforce: Salesforce, api_name: str, query: str, file: Path, tell: Progress) -> int:
    """Write the records of a query to a file; how many. A place that Salesforce lost means to begin anew."""
    for tries_left in range(TRIES - 1, -1, -1):
        try:
            first = _patiently(lambda: salesforce.query(query, include_deleted=True))
            if first["totalSize"] >= BULK_FROM:
                return _by_job(salesforce, api_name, query, file, tell)
            return _by_pages(salesforce, first, api_name, file, tell)
        except BadInput as error:
            if "INVALID_QUERY_LOCATOR" not in error.problem or not tries_left:
                raise
    raise AssertionError("the last try returns or raises")


def _by_pages(salesforce: Salesforce, first: Mapping[str, Any], api_name: str, file: Path, tell: Progress) -> int:
    """The REST API: some thousand records a page."""
    count, page = 0, first
    with file.open("w", encoding="utf-8", newline="") as out:
        writer: Any = None
        while True:
            for record in page["records"]:
                row = {name: _text(value) for name, value in record.items() if name != "attributes"}
                if writer is None:
                    writer = csv.DictWriter(out, list(row), lineterminator="\n")
                    writer.writeheader()
                writer.writerow(row)
            count += len(page["records"])
            if page["done"]:
                break
            tell(f"{api_name}: {count:,} of {page['totalSize']:,} records")
            after = page["nextRecordsUrl"]
            page = _patiently(
                lambda after=after: salesforce.query_more(after, identifier_is_url=True, include_deleted=True)
            )
    if not count:
        file.unlink()
    return count


def _by_job(salesforce: Salesforce, api_name: str, query: str, file: Path, tell: Progress) -> int:
    """The Bulk API 2.0: CSV in chunks, each written before the next is asked for, so memory holds one."""
    count = 0
    with file.open("w", encoding="utf-8", newline="") as out:
        for number, (chunk, records) in enumerate(_chunks(salesforce, api_name, query)):
            out.write(chunk if number == 0 else chunk.partition("\n")[2])
            count += records
            tell(f"{api_name}: {count:,} records")
    return count


def _chunks(salesforce: Salesforce, api_name: str, query: str) -> Iterator[tuple[str, int]]:
    """The chunks of a job with the number of records in each; one that was cut is asked for again."""
    from simple_salesforce.bulk2 import Operation

    def client() -> Any:
        return getattr(salesforce.bulk2, api_name)._client  # its own methods begin anew at the first cut

    job = _patiently(lambda: client().create_job(Operation.query_all, query), salesforce)["id"]
    _patiently(lambda: client().wait_for_job(job, True, POLL_SECONDS), salesforce)
    locator = ""
    while True:
        page = _patiently(lambda at=locator: client().get_query_results(job, at, CHUNK), salesforce)
        yield page["records"], page["number_of_records"]
        locator = page["locator"]
        if not locator:
            return


def _patiently(call: Callable[[], T], salesforce: Salesforce | None = None) -> T:
    """A call that is made again when Salesforce was away for a moment, or cut its reply; not at a limit, which stays. The
    library renews an expired session by itself but in bulk jobs: for those, `salesforce` is given."""
    from simple_salesforce.exceptions import SalesforceExpiredSession

    for tries_left in range(TRIES - 1, -1, -1):
        try:
            with told_apart():
                try:
                    return call()
                except SalesforceExpiredSession:
                    if salesforce is None or not tries_left:
                        raise
                    salesforce._refresh_session()
        except CrmAway as away:
            if away.is_limit or not tries_left:
                raise
    raise AssertionError("the last try returns or raises")


def _text(value: Any) -> str:
    """A value of the REST API as the Bulk API's CSV has it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
