"""Invitations whose personal links a company hands out by itself: in mails of its own, on paper, as QR codes.

Handing out is what sending is elsewhere: the rules of hand-over are looked at, the invitation counts from then on, and it
happens once. The links themselves can be had again at any time.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import or_, select

from closedloop.errors import BadInput
from closedloop.ledger.checks import Checks, hold_wave
from closedloop.ledger.engine import Ledger, serialise
from closedloop.ledger.messages import settle, suppress_messages, visible
from closedloop.ledger.rows import payload_from
from closedloop.ledger.schema import answers, messages
from closedloop.ledger.switches import SENDING, SWITCHED_OFF, is_on
from closedloop.programme import Survey
from closedloop.settings import Settings

LINK = "link"
CHUNK = 500


@dataclass
class HandedOut:
    """`new` invitations were handed out now, `again` are links from before that are still open; `suppressed` were closed and
    `held` wait, by reason."""

    new: int = 0
    again: int = 0
    suppressed: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)


def hand_out(
    ledger: Ledger,
    survey: Survey,
    surveys: Mapping[str, Survey],
    settings: Settings,
    report: HandedOut,
    *,
    now: dt.datetime,
    again: bool = False,
) -> Iterator[dict[str, Any]]:
    """The invitations of a survey that are handed out now, each on the books before it is given; counts go to `report`.

    `surveys` are all that there are: a cooldown may count others. With `again`, first those from before whose links are open and have no answer. Raises BadInput while sending is off.
    """
    if again:
        for row in _from_before(ledger, survey.id, now):
            report.again += 1
            yield row
    after: str | None = ""
    while after is not None:
        rows, after = _chunk(ledger, survey, surveys, settings, report, after, now)
        report.new += len(rows)
        yield from rows


def _chunk(
    ledger: Ledger,
    survey: Survey,
    surveys: Mapping[str, Survey],
    settings: Settings,
    report: HandedOut,
    after: str,
    now: dt.datetime,
) -> tuple[list[dict[str, Any]], str | None]:
    surveys, holds = {**surveys, survey.id: survey}, dict[str, str | None]()
    handed, closed = [], []
    with ledger.write() as conn:
        serialise(conn, "claim")  # neither the collector nor another export may take the same message
        if not is_on(conn, SENDING):
            raise BadInput(SWITCHED_OFF, remedy="`closedloop sending status` says who did that and why")
        waiting = (messages.c.channel == LINK) & (messages.c.survey_id == survey.id) & (messages.c.state == "pending")
        found = select(messages).where(waiting, visible(), messages.c.message_id > after)
        taken = conn.execute(found.order_by(messages.c.message_id).limit(CHUNK).with_for_update()).mappings().all()
        rows = [{**row, "payload": payload_from(row["payload"])} for row in taken]
        checks = Checks.load(conn, rows, surveys, now)
        for row in rows:
            wave = row["wave_id"]
            if wave not in holds:
                holds[wave] = hold_wave(conn, row["kind"], survey.id, wave, surveys, settings)
            if reason := checks.refuse(row):
                closed.append((row, reason))
                report.suppressed[reason] = report.suppressed.get(reason, 0) + 1
            elif hold := holds[wave]:
                report.held[hold] = report.held.get(hold, 0) + 1
            else:
                checks.took(row)
                handed.append(row)
        suppress_messages(conn, closed, now=now)
        settle(conn, [(row, "sent", None) for row in handed], at=now, now=now)
    return handed, rows[-1]["message_id"] if len(rows) == CHUNK else None


def _from_before(ledger: Ledger, survey_id: str, now: dt.datetime) -> Iterator[dict[str, Any]]:
    after: str | None = ""
    while after is not None:
        handed = (messages.c.channel == LINK) & (messages.c.survey_id == survey_id) & (messages.c.state == "sent")
        is_open = or_(messages.c.link_expires_at.is_(None), messages.c.link_expires_at > now)
        unanswered = ~select(answers.c.score).where(answers.c.invitation_id == messages.c.invitation_id).exists()
        found = select(messages).where(handed, is_open, unanswered, messages.c.message_id > after)
        with ledger.read() as conn:
            rows = conn.execute(found.order_by(messages.c.message_id).limit(CHUNK)).mappings().all()
        for row in rows:
            yield {**row, "payload": payload_from(row["payload"])}
        after = rows[-1]["message_id"] if len(rows) == CHUNK else None
