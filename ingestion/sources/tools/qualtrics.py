"""Qualtrics: CSV exports with three header rows (names, question texts, import ids), or the older ones with two."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from closedloop.errors import BadInput
from ingestion.sources.tools.rows import Asked, Row, moment_of

GROUP = "_NPS_GROUP"
"""Beside each NPS question an export has its group, which is Qualtrics' own category and is left."""
LEFT_OUT = frozenset(
    (
        *(
            "StartDate",
            "EndDate",
            "RecordedDate",
            "Status",
            "Progress",
            "Duration (in seconds)",
            "Finished",
            "ResponseId",
        ),
        *("IPAddress", "RecipientLastName", "RecipientFirstName", "RecipientEmail", "ExternalReference"),
        *("LocationLatitude", "LocationLongitude", "LocationAccuracy", "DistributionChannel"),
        *("ResponseID", "ResponseSet", "Name", "ExternalDataReference", "EmailAddress"),
    )
)
NO_ANSWERS = frozenset(
    {"1", "2", "8", "9", "12", "17", "40", "Survey Preview", "Survey Test", "Spam", "Spam Preview", "Imported"}
)
"""Kinds of responses (`Status`) that no respondent gave."""
_CSV_LIMIT = 1 << 24


def read_qualtrics(file: Path, asked: Asked) -> Iterator[Row | None]:
    """The score is the column that is named (`--question Q1`), or the one with a `_NPS_GROUP` beside it. Times are in the zone
    of the account. Previews, tests and spam are no answers; a response that was not finished counts when it has a score."""
    csv.field_size_limit(_CSV_LIMIT)
    with file.open(encoding="utf-8-sig", newline="") as handle:
        lines = csv.reader(handle)
        try:
            names, first = next(lines), next(lines)
        except (StopIteration, csv.Error):
            raise BadInput("has no header rows", file=file, line=1, remedy="export it from Qualtrics as CSV") from None
        if "ResponseID" in first:  # the older form: V1, V2, ... and the names below
            names = [
                below if above.startswith("V") and above[1:].isdigit() else above
                for above, below in zip(names, first, strict=False)
            ]
        else:
            _skip_import_ids(lines, file)
        question = _question(names, asked, file)
        try:
            for cells in lines:
                yield _row(dict(zip(names, cells, strict=False)), question, names, file, asked)
        except csv.Error:
            raise BadInput("a row cannot be read", file=file, line=lines.line_num, remedy="export it again") from None


def _skip_import_ids(lines: Iterator[list[str]], file: Path) -> None:
    third = next(lines, [])
    if not any('"ImportId"' in cell.replace(" ", "") for cell in third):
        raise BadInput(
            "the third row does not hold Qualtrics' import ids",
            file=file,
            line=3,
            remedy="export it from Data & Analysis as CSV, all header rows kept",
        )


def _question(names: list[str], asked: Asked, file: Path) -> str:
    if asked.question:
        if asked.question not in names:
            raise BadInput(
                f"there is no column '{asked.question}'",
                file=file,
                line=1,
                field="question",
                remedy=f"one of {', '.join(names[:40])}",
            )
        return asked.question
    found = [name for name in names if f"{name}{GROUP}" in names]
    if len(found) != 1:
        what = "several NPS questions" if found else "no NPS question that says so"
        raise BadInput(
            f"the file has {what}",
            file=file,
            line=1,
            field="question",
            remedy="name the column of the score: --question Q1",
        )
    return found[0]


def _row(cells: dict[str, str], question: str, names: list[str], file: Path, asked: Asked) -> Row | None:
    def first(*columns: str) -> str:
        return next((cells[name].strip() for name in columns if cells.get(name, "").strip()), "")

    if first("Status") in NO_ANSWERS:
        return None
    score = cells.get(question, "").strip()
    used = {question, f"{question}{GROUP}", asked.comment or ""}
    return Row(
        external_id=first("ResponseId", "ResponseID"),
        survey=f"qualtrics-{file.stem}",
        score=score,
        comment=cells.get(asked.comment, "").strip() if asked.comment else "",
        contact_id=first("ExternalReference", "ExternalDataReference"),
        contact_email=first("RecipientEmail", "EmailAddress"),
        channel=first("DistributionChannel"),
        submitted_at=moment_of(first("RecordedDate", "EndDate"), asked.time_zone),
        version=first("RecordedDate", "EndDate"),
        attributes={
            name: cells[name].strip()
            for name in names
            if name and name not in used and name not in LEFT_OUT and not name.endswith(GROUP) and name in cells
        },
    )
