"""The rules of hand-over, looked at once more in the claiming transaction: what was right at planning may have changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select

from closedloop.ledger.messages import visible
from closedloop.ledger.rows import Row
from closedloop.ledger.schema import answers, exclusions, messages, suppressions, wave_approvals
from closedloop.programme import Rule, Survey
from closedloop.settings import Settings

ANSWERED = "answered"
TAKEN = ("claimed", "handed", "sent", "uncertain")
"""Invitations in these states may have reached the person, so they count for the cooldown."""


def hold_wave(
    conn: Connection, kind: str, survey_id: str, wave_id: str, surveys: Mapping[str, Survey], settings: Settings
) -> str | None:
    """Why a whole wave stays pending for now, or None. Alerts never wait for their survey."""
    if kind == "alert":
        return None
    survey = surveys.get(survey_id)
    if survey is None:
        return "survey removed"
    if survey.status != "active":
        return f"survey {survey.status}"
    if conn.execute(select(wave_approvals).where(wave_approvals.c.wave_id == wave_id)).first():
        return None
    wave = (messages.c.survey_id == survey_id) & (messages.c.wave_id == wave_id) & (messages.c.kind == kind)
    limit = settings.wave_approval_size
    # What is staged and not sealed does not count; but most often even with it the wave is small, and an index knows.
    is_large = _reaches(conn, wave, limit + 1) and _reaches(conn, wave & visible(), limit + 1)
    return "waits for approval" if is_large else None


def _reaches(conn: Connection, which: ColumnElement[bool], count: int) -> bool:
    some = select(messages.c.contact_id).where(which).limit(count).subquery()
    return conn.execute(select(func.count()).select_from(some)).scalar_one() == count


@dataclass
class Checks:
    """What the ledger knows now about the persons of one batch."""

    now: dt.datetime
    suppressed: dict[str, str]
    excluded: set[tuple[str, str]]
    answered: set[str]
    asked: dict[str, list[tuple[str, dt.datetime]]]
    """Per person: survey and time of the other invitations that may have reached them."""

    @classmethod
    def load(cls, conn: Connection, rows: Sequence[Row], now: dt.datetime) -> Checks:
        """Read all that matters to `rows` in four queries."""
        people = sorted({row["person_key"] for row in rows if row["person_key"]})
        subjects = {row["contact_id"] for row in rows} | {row["account_id"] for row in rows if row["account_id"]}
        invitations = sorted({row["invitation_id"] for row in rows if row["invitation_id"]})
        if not rows:
            return cls(now, {}, set(), set(), {})
        blocked = conn.execute(
            select(suppressions.c.person_key, suppressions.c.reason).where(suppressions.c.person_key.in_(people))
        ).tuples()
        listed = conn.execute(
            select(exclusions.c.subject, exclusions.c.subject_id).where(
                exclusions.c.subject_id.in_(sorted(subjects)),
                or_(exclusions.c.until.is_(None), exclusions.c.until > now),
            )
        ).tuples()
        known = conn.scalars(select(answers.c.invitation_id).where(answers.c.invitation_id.in_(invitations)))
        asked: dict[str, list[tuple[str, dt.datetime]]] = {}
        others = select(messages.c.person_key, messages.c.survey_id, messages.c.state_at, messages.c.planned_at).where(
            messages.c.person_key.in_(people), messages.c.kind == "invitation", messages.c.state.in_(TAKEN)
        )
        for person, survey_id, state_at, planned_at in conn.execute(others):
            asked.setdefault(person, []).append((survey_id, state_at or planned_at))
        return cls(now, dict(blocked.all()), set(listed.all()), set(known), asked)

    def refuse(self, row: Row, payload: Mapping[str, Any]) -> str | None:
        """Why this message must never be sent, or None."""
        if row["expires_at"] is not None and row["expires_at"] <= self.now:
            return Rule.EXPIRED.value
        if row["kind"] == "alert":
            return None
        if row["invitation_id"] in self.answered:
            return ANSWERED
        if row["person_key"] in self.suppressed:
            return Rule.SUPPRESSED.value
        if {("contact", row["contact_id"]), ("account", row["account_id"])} & self.excluded:
            return Rule.EXCLUDED.value
        if row["kind"] == "invitation" and self._cools_down(row, payload):
            return Rule.COOLDOWN.value
        return None

    def took(self, row: Row) -> None:
        """Count a message that was just claimed for the cooldown of the next."""
        if row["kind"] == "invitation" and row["person_key"]:
            self.asked.setdefault(row["person_key"], []).append((row["survey_id"], self.now))

    def _cools_down(self, row: Row, payload: Mapping[str, Any]) -> bool:
        cooldown = (payload.get("definition") or {}).get("cooldown") or {}
        only_this_survey = cooldown.get("scope") == "survey"
        return any(
            (self.now.date() - at.date()).days < row["cooldown_days"]
            for survey_id, at in self.asked.get(row["person_key"] or "", ())
            if survey_id == row["survey_id"] or not only_this_survey
        )
