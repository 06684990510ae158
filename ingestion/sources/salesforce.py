"""Salesforce as a source: what changed since the lake's newest row of each object becomes an export like any other.

Where to go on is read from the lake, so that nothing is skipped whatever dies, and nothing has to be remembered. Changes are read
with an overlap, since a transaction that took long commits rows with an older time of modification; what the lake has
already counts as unchanged there.
"""

from __future__ import annotations

import csv
import datetime as dt
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import duckdb

from closedloop.errors import BadInput
from closedloop.lake import Lake
from closedloop.lake.catalogue import CRM_KEYS, CRM_OBJECTS, CRM_TIMES
from closedloop.salesforce import SalesforceAway, told_apart
from ingestion.sources.exports import MANIFEST
from ingestion.sources.mapping import Mapping as FieldMapping

if TYPE_CHECKING:
    from simple_salesforce import Salesforce

T = TypeVar("T")
Progress = Callable[[str], None]

OVERLAP = dt.timedelta(minutes=10)
BULK_FROM = 20_000
"""So many records or more are read by a job of the Bulk API 2.0, in chunks."""
CHUNK = 50_000
TRIES = 4
"""So often a page is asked for; a query whose place was lost begins anew as often."""
POLL_SECONDS = 1.0
"""Between two looks at a job; the library waits longer each time."""


@dataclass
class Fetched:
    """What was read. `warnings` tell of objects and fields that are not there; `stopped` why the run ended early: what was
    read until then is whole, and the next run goes on from there."""

    records: dict[str, int] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    stopped: str | None = None


def fetch(
    salesforce: Salesforce,
    lake: Lake,
    mapping: FieldMapping,
    folder: Path,
    *,
    now: dt.datetime,
    full: bool = False,
    only: Sequence[str] = (),
    bulk_from: int = BULK_FROM,
    progress: Progress | None = None,
) -> Fetched:
    """Write what changed of the mapping's objects (or of `only` these) to `folder`, as an export that `ingest_crm` reads.

    Deleted records are among it. `full` reads everything that there is, deleted records too, and still deletes nothing by
    absence. Raises BadInput for an object that the mapping demands and Salesforce does not show.
    """
    tell, found = progress or (lambda _: None), Fetched()
    since = {} if full else newest_changes(lake)
    folder.mkdir(parents=True, exist_ok=True)
    for name, item in mapping.objects.items():
        if only and name not in only:
            continue
        api_name = Path(item.file).stem
        try:
            fields = _fields(salesforce, api_name, name, mapping, found, required=item.required)
            if fields:
                query = _query(api_name, fields, since.get(name))
                count = _read(salesforce, api_name, query, folder / item.file, bulk_from, tell)
                found.records[name] = count
        except SalesforceAway as away:
            (folder / item.file).unlink(missing_ok=True)
            found.stopped = away.reason
            break
    (folder / MANIFEST).write_text(json.dumps({"exported_at": now.isoformat(), "mode": "delta"}))
    return found


def newest_changes(lake: Lake) -> dict[str, dt.datetime]:
    """The newest SystemModstamp that the lake has of each object, UTC."""
    found = {}
    with duckdb.connect() as con:
        con.execute("set timezone = 'UTC'")
        cut = lake.cut()
        for name in CRM_OBJECTS:
            table = f"crm.{name}"
            if table in cut:
                query = f"select max(try_cast(SystemModstamp as timestamptz)) from ({lake.select(table, cut)})"
                newest = con.execute(query).fetchall()[0][0]
                if newest is not None:
                    found[name] = newest.astimezone(dt.UTC)
    return found


def _fields(
    salesforce: Salesforce, api_name: str, name: str, mapping: FieldMapping, found: Fetched, *, required: bool
) -> list[str]:
    """The fields to ask for: what the mapping and the models read, and every custom field. Empty where there is no object."""
    try:
        described = _patiently(lambda: salesforce.restful(f"sobjects/{api_name}/describe"))
    except BadInput:
        if required:
            raise BadInput(
                f"Salesforce shows no object {api_name}",
                field=name,
                remedy="give the user that this runs as read access to it (docs/salesforce.md)",
            ) from None
        found.warnings.append(f"{api_name}: not there, or not to be seen by this user; left out")
        return []
    known = {one["name"]: one["type"] for one in (described or {}).get("fields", ())}
    wanted = {*CRM_KEYS, *CRM_OBJECTS[name], *mapping.columns_of(Path(api_name).with_suffix(".csv").name)}
    by_name = {field.casefold(): field for field in known}
    fields = {by_name[field.casefold()] for field in wanted if field.casefold() in by_name}
    missing = sorted(field for field in CRM_OBJECTS[name] if field.casefold() not in by_name)
    if missing:
        found.warnings.append(f"{api_name}: without {', '.join(missing)}; what is computed from them stays empty")
    retyped = sorted(field for field in fields & CRM_TIMES.keys() if known[field] not in ("date", "datetime"))
    if retyped:
        found.warnings.append(
            f"{api_name}: {', '.join(retyped)}: no date any more; rows where it cannot be read as one wait in quarantine"
        )
    fields |= {
        field
        for field, kind in known.items()
        if field.endswith("__c") and kind not in ("base64", "address", "location")
    }
    return sorted(fields)


def _query(api_name: str, fields: Sequence[str], since: dt.datetime | None) -> str:
    where = f" WHERE SystemModstamp >= {since - OVERLAP:%Y-%m-%dT%H:%M:%SZ}" if since else ""
    return f"SELECT {', '.join(fields)} FROM {api_name}{where} ORDER BY SystemModstamp, Id"


def _read(salesforce: Salesforce, api_name: str, query: str, file: Path, bulk_from: int, tell: Progress) -> int:
    """Write the records of a query to a file; how many. A place that Salesforce lost means to begin anew."""
    for tries_left in range(TRIES - 1, -1, -1):
        try:
            first = _patiently(lambda: salesforce.query(query, include_deleted=True))
            if first["totalSize"] >= bulk_from:
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
        except SalesforceAway as away:
            if away.is_limit or not tries_left:
                raise
    raise AssertionError("the last try returns or raises")


def _text(value: Any) -> str:
    """A value of the REST API as the Bulk API's CSV has it."""
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)
