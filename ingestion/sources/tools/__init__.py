"""Answers of other tools: one file each, which puts the tool's records into the columns of the response import.

What a tool says about a score (its category, its weight) is never taken over; the score is, with its scale, so that stars and
smileys are kept apart from NPS.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from closedloop.errors import BadInput
from ingestion.sources.tools.delighted import read_delighted
from ingestion.sources.tools.formbricks import read_formbricks
from ingestion.sources.tools.qualtrics import read_qualtrics
from ingestion.sources.tools.rows import Asked, Row
from ingestion.sources.tools.surveymonkey import read_surveymonkey
from ingestion.sources.tools.typeform import read_typeform
from ingestion.sources.tools.wootric import read_wootric

__all__ = ["TOOLS", "Asked", "Row", "convert"]

COLUMNS = (
    *("external_id", "survey", "survey_type", "contact_id", "contact_email", "account_id"),
    *("score", "comment", "channel", "submitted_at", "scale"),
)
Reader = Callable[[Path, Asked], Iterable[Row | None]]
"""Gives a row for each record, None for a record that is no answer (a preview, a person)."""
TOOLS: Mapping[str, Reader] = {
    "delighted": read_delighted,
    "formbricks": read_formbricks,
    "qualtrics": read_qualtrics,
    "surveymonkey": read_surveymonkey,
    "typeform": read_typeform,
    "wootric": read_wootric,
}


def convert(tool: str, file: Path, into: Path, asked: Asked) -> int:
    """Write the records of a tool's file as a file of the response import; returns how many rows.

    Of several records of one answer (created, updated, finished) the newest counts. A record without an id keeps its place
    and is quarantined by the import. Raises BadInput for a tool that we don't know and for a file that is not the tool's.
    """
    if tool not in TOOLS:
        raise BadInput(f"no such tool: '{tool}'", field="from", remedy=f"one of {', '.join(sorted(TOOLS))}")
    rows: dict[str, Row] = {}
    for number, row in enumerate(TOOLS[tool](file, asked), 1):
        if row is None:
            continue
        key = row.external_id or f"\0{number}"
        if key not in rows or row.version >= rows[key].version:
            rows[key] = row
    names = sorted({name for row in rows.values() for name in row.attributes} - set(COLUMNS))
    with into.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow([*COLUMNS, *names])
        for row in rows.values():
            own = {
                **{name: getattr(row, name) for name in COLUMNS if name not in ("survey", "survey_type", "scale")},
                "survey": asked.survey or row.survey,
                "survey_type": asked.survey_type,
                "scale": asked.scale or row.scale,
            }
            writer.writerow([*(own[name] for name in COLUMNS), *(row.attributes.get(name, "") for name in names)])
    return len(rows)
