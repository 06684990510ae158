"""Personal links as a table, QR codes and score blocks, for a company that hands them out by itself."""

from __future__ import annotations

import csv
import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import segno

from closedloop.errors import BadInput
from closedloop.ledger import Ledger
from closedloop.ledger.handing_out import LINK, HandedOut, hand_out
from closedloop.links import preferences_link, survey_link, unsubscribe_link
from closedloop.programme import Survey
from closedloop.settings import Settings
from closedloop.spreadsheets import cell
from dispatch.rendering import render_score_block

COLUMNS = (
    *("invitation_id", "contact_id", "email", "first_name", "last_name", "account_id", "account_name", "language"),
    *("link", "unsubscribe_link", "preferences_link", "expires_at", "qr_code", "score_block"),
)
QR_CODE = {"error": "m"}
"""Medium error correction: a code on paper may lose 15 % of itself."""


@dataclass(frozen=True)
class Exported:
    """What one export gave, and where it stands."""

    table: Path
    handed_out: HandedOut


def export_links(
    ledger: Ledger,
    settings: Settings,
    survey: Survey,
    surveys: Mapping[str, Survey],
    folder: Path,
    *,
    now: dt.datetime,
    qr: bool = False,
    blocks: bool = False,
    again: bool = False,
    progress: Callable[[HandedOut], None] | None = None,
) -> Exported:
    """Hand out the invitations of `survey` (one of all `surveys`) that wait, as `links-<survey>-<time>.csv` in `folder`.

    `qr` adds an SVG for each link (`qr/<invitation>.svg`), `blocks` the score block as HTML (`blocks/<invitation>.html`, and a
    file name in the table). `again` gives links from before too, unless they are answered or over: after a crash, say, for
    what is on the books is not always in a file. Raises BadInput for a survey that hands out no links, a folder that cannot
    be written, and while sending is off.
    """
    if LINK not in survey.channels:
        raise BadInput(
            f"the survey '{survey.id}' hands out no links", field="channels", remedy="add `link` to its `channels`"
        )
    report = HandedOut()
    table = folder / f"links-{survey.id}-{now:%Y%m%dT%H%M%SZ}.csv"
    try:
        for name, wanted in (("qr", qr), ("blocks", blocks)):
            if wanted:
                (folder / name).mkdir(parents=True, exist_ok=True)
        with _in_one_step(table) as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            for row in hand_out(ledger, survey, surveys, settings, report, now=now, again=again):
                line = _line(row, settings)
                name = row["invitation_id"]
                if qr:
                    line["qr_code"] = f"qr/{name}.svg"
                    segno.make(line["link"], **QR_CODE).save(str(folder / line["qr_code"]), scale=6)
                if blocks:
                    line["score_block"] = f"blocks/{name}.html"
                    html = render_score_block(row, settings=settings)
                    (folder / line["score_block"]).write_text(html, encoding="utf-8")
                writer.writerow({column: cell(value) for column, value in line.items()})
                if progress and not (report.new + report.again) % 100:
                    progress(report)
    except OSError as error:
        raise BadInput(f"cannot be written ({error.strerror})", file=folder, remedy="choose another folder") from None
    return Exported(table, report)


def _line(row: Mapping[str, Any], settings: Settings) -> dict[str, Any]:
    payload, invitation_id = row["payload"], row["invitation_id"]
    return {
        "invitation_id": invitation_id,
        "contact_id": row["contact_id"],
        **{name: payload.get(name) for name in ("email", "first_name", "last_name")},
        "account_id": row["account_id"],
        "account_name": payload.get("account_name"),
        "language": payload.get("language"),
        "link": survey_link(settings, invitation_id),
        "unsubscribe_link": unsubscribe_link(settings, invitation_id),
        "preferences_link": preferences_link(settings, invitation_id),
        "expires_at": row["link_expires_at"].isoformat() if row["link_expires_at"] else "",
        "qr_code": "",
        "score_block": "",
    }


@contextmanager
def _in_one_step(file: Path) -> Iterator[IO[str]]:
    """The file appears when it is whole. Only its owner may read it: whoever has a link can answer by it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.touch(mode=0o600)
    with part.open("w", encoding="utf-8", newline="") as opened:
        yield opened
    part.replace(file)
