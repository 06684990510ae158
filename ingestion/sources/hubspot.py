"""HubSpot as a source: its search for what changed, its archive for what was deleted, its associations for what belongs together."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from closedloop.clock import parse_time
from closedloop.hubspot import NAME, HubSpot, HubSpotRefuses
from ingestion.sources.changes import ObjectNotThere, Wanted

OWNERS = "owners"
"""The users; they are no object like the others."""
ASSOCIATED = "associations."
"""A column `associations.companies` holds the id of the primary company of a record, or else of its first."""
EACH_HAS = ("id", "createdAt", "updatedAt", "archived")
"""Columns of every record besides its properties."""
PAGE, ARCHIVE_PAGE = 200, 100
"""The most that a search, and a list, give at once."""

_EVER = dt.datetime.min.replace(tzinfo=dt.UTC)


class HubSpotReader:
    """Reads the objects that the mapping names by their files: `companies.csv` is `companies`."""

    name = NAME

    def __init__(self, hubspot: HubSpot) -> None:
        self._hubspot = hubspot

    def read(self, wanted: Wanted, file: Path) -> int:
        """Write what changed of one object to `file`, page by page: the properties that the mapping reads, and every one of the
        company's own."""
        if wanted.api_name == OWNERS:
            columns = (*EACH_HAS, "email", "firstName", "lastName", "userId")
            return _write(file, columns, self._owners(), wanted)
        properties = self._properties(wanted)
        linked = sorted(name.removeprefix(ASSOCIATED) for name in wanted.columns if name.startswith(ASSOCIATED))
        columns = (*EACH_HAS, *properties, *(ASSOCIATED + name for name in linked))
        return _write(file, columns, self._records(wanted, properties, linked), wanted)

    def _owners(self) -> Iterator[list[Mapping[str, Any]]]:
        """All of them each time, since they are few; those that left are archived."""
        for archived in ("false", "true"):
            yield from self._list("crm/v3/owners", archived)

    def _properties(self, wanted: Wanted) -> list[str]:
        try:
            described = self._hubspot.call("GET", f"crm/v3/properties/{wanted.api_name}")
        except HubSpotRefuses as refused:
            if refused.code.endswith("_AUTHENTICATION"):  # the token, not the object
                raise
            raise ObjectNotThere from None
        known = {one["name"]: one["type"] for one in described["results"]}
        linked = {name: "string" for name in wanted.columns if name.startswith(ASSOCIATED)}
        wanted.compare(known | dict.fromkeys(EACH_HAS, "datetime") | linked)
        own = {one["name"] for one in described["results"] if not one.get("hubspotDefined")}
        return sorted({name for name in known if name.casefold() in wanted.columns} | own)

    def _records(
        self, wanted: Wanted, properties: Sequence[str], linked: Sequence[str]
    ) -> Iterator[list[Mapping[str, Any]]]:
        for page in self._changed(wanted, properties):
            rows = [{**record, **record["properties"]} for record in page]
            for other in linked:
                found = self._associated(wanted.api_name, other, [row["id"] for row in rows])
                rows = [{**row, ASSOCIATED + other: found.get(row["id"])} for row in rows]
            yield rows
        for page in self._list(f"crm/v3/objects/{wanted.api_name}", "true"):
            yield [
                {**record, "updatedAt": record["archivedAt"], "archived": True}
                for record in page
                if (wanted.changed_after or _EVER) <= parse_time(record["archivedAt"]) <= wanted.until
            ]

    def _changed(self, wanted: Wanted, properties: Sequence[str]) -> Iterator[list[dict[str, Any]]]:
        """By id, each search on from the last one's end: pages by number end at 10,000 records, and times may be the same in more."""
        modified = "lastmodifieddate" if wanted.api_name == "contacts" else "hs_lastmodifieddate"
        between = [_filter(modified, "LTE", _milliseconds(wanted.until))]
        if wanted.changed_after:
            between.append(_filter(modified, "GTE", _milliseconds(wanted.changed_after)))
        last = "0"
        while True:
            found = self._hubspot.call(
                "POST",
                f"crm/v3/objects/{wanted.api_name}/search",
                json={
                    "filterGroups": [{"filters": [*between, _filter("hs_object_id", "GT", last)]}],
                    "sorts": [{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
                    "properties": list(properties),
                    "limit": PAGE,
                },
            )["results"]
            if not found:
                return
            yield found
            last = found[-1]["id"]

    def _associated(self, kind: str, other: str, ids: Sequence[str]) -> dict[str, str]:
        """The associated record of each id that has one."""
        reply = self._hubspot.call(
            "POST",
            f"crm/v4/associations/{kind}/{other}/batch/read",
            json={"inputs": [{"id": one} for one in ids]},
        )
        return {str(one["from"]["id"]): _primary(one["to"]) for one in reply.get("results") or () if one["to"]}

    def _list(self, path: str, archived: str) -> Iterator[list[Mapping[str, Any]]]:
        after = None
        while True:
            params = {"archived": archived, "limit": ARCHIVE_PAGE} | ({"after": after} if after else {})
            reply = self._hubspot.call("GET", path, params=params)
            yield reply["results"]
            after = ((reply.get("paging") or {}).get("next") or {}).get("after")
            if not after:
                return


def _filter(name: str, operator: str, value: str) -> dict[str, str]:
    return {"propertyName": name, "operator": operator, "value": value}


def _milliseconds(time: dt.datetime) -> str:
    return str(int(time.timestamp() * 1000))


def _primary(others: Sequence[Mapping[str, Any]]) -> str:
    labels = [[kind.get("label") for kind in one.get("associationTypes") or ()] for one in others]
    return str(next((one for one, of in zip(others, labels, strict=True) if "Primary" in of), others[0])["toObjectId"])


def _write(file: Path, columns: Sequence[str], pages: Iterator[list[Mapping[str, Any]]], wanted: Wanted) -> int:
    """Each page before the next is asked for, so memory holds one."""
    count = 0
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(columns)
        for page in pages:
            writer.writerows([_text(row.get(name)) for name in columns] for row in page)
            count += len(page)
            wanted.tell(f"{wanted.api_name}: {count:,} records")
    if not count:
        file.unlink()
    return count


def _text(value: Any) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
