"""The rules of hand-over, looked at once more in the claiming transaction: what was right at planning may have changed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, or_, select

from closedloop.ledger.messages import visible
from closedloop.ledger.rows import Row, to_json
from closedloop.ledger.schema import answers, exclusions, messages, preferences, suppressions, wave_approvals
from closedloop.programme import Rule, Survey
from closedloop.programme.definitions import BusinessHours
from closedloop.programme.hours import next_opening
from closedloop.settings import Settings

ANSWERED = "answered"
OUTSIDE_HOURS = "outside business hours"
TAKEN = ("claimed", "handed", "sent", "uncertain")
"""Invitations in these states may have reached the person, so they count for cooldown and account cap."""


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
    if kind == "reply" or conn.execute(select(wave_approvals).where(wave_approvals.c.wave_id == wave_id)).first():
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
    """What the ledger knows now about the persons and accounts of one batch."""

    now: dt.datetime
    families: Mapping[str, str | None]
    """Of each survey that there is."""
    suppressed: dict[str, str] = field(default_factory=dict)
    unwanted: set[tuple[str, str]] = field(default_factory=set)
    """Person and survey, where the person does not want that survey."""
    wished_days: dict[str, int] = field(default_factory=dict)
    """Per person: no invitation sooner than so many days after the last one, by any survey."""
    excluded: set[tuple[str, str]] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    asked: dict[str, list[tuple[str, dt.datetime]]] = field(default_factory=dict)
    """Per person: survey and time of the other invitations that may have reached them."""
    asked_of: dict[str, list[dt.datetime]] = field(default_factory=dict)
    """Per account: when it got an invitation by any survey; read only where a survey has a cap."""
    openings: dict[tuple[str, str | None], dt.datetime | None] = field(default_factory=dict)

    @classmethod
    def load(cls, conn: Connection, rows: Sequence[Row], surveys: Mapping[str, Survey], now: dt.datetime) -> Checks:
        """Read all that matters to `rows` (`payload` parsed): five queries, and a sixth where accounts are capped."""
        checks = cls(now, {survey.id: survey.family for survey in surveys.values()})
        if not rows:
            return checks
        people = sorted({row["person_key"] for row in rows if row["person_key"]})
        subjects = {row["contact_id"] for row in rows} | {row["account_id"] for row in rows if row["account_id"]}
        invitations = sorted({row["invitation_id"] for row in rows if row["invitation_id"]})
        blocked = conn.execute(
            select(suppressions.c.person_key, suppressions.c.reason).where(suppressions.c.person_key.in_(people))
        ).tuples()
        checks.suppressed = dict(blocked.all())
        for wish in conn.execute(select(preferences).where(preferences.c.person_key.in_(people))):
            if not wish.wanted:
                checks.unwanted.add((wish.person_key, wish.survey_id))
            if wish.at_most_every_days:
                checks.wished_days[wish.person_key] = wish.at_most_every_days
        listed = conn.execute(
            select(exclusions.c.subject, exclusions.c.subject_id).where(
                exclusions.c.subject_id.in_(sorted(subjects)),
                or_(exclusions.c.until.is_(None), exclusions.c.until > now),
            )
        ).tuples()
        checks.excluded = set(listed.all())
        known = select(answers.c.invitation_id).where(answers.c.invitation_id.in_(invitations))
        checks.answered = set(conn.scalars(known))
        # Kind and state are looked at here: with them SQLite would walk the index of all that was ever sent.
        others = select(
            *(messages.c[name] for name in ("person_key", "survey_id", "state_at", "planned_at", "kind", "state"))
        ).where(messages.c.person_key.in_(people))
        for person, survey_id, state_at, planned_at, kind, state in conn.execute(others):
            if kind == "invitation" and state in TAKEN:
                checks.asked.setdefault(person, []).append((survey_id, state_at or planned_at))
        capped = [(row["account_id"], cap["days"]) for row in rows if row["account_id"] and (cap := _account_cap(row))]
        if capped:
            since = now - dt.timedelta(days=max(days for _, days in capped))
            neighbours = select(messages.c.account_id, messages.c.state_at, messages.c.planned_at).where(
                messages.c.account_id.in_(sorted({account for account, _ in capped})),
                messages.c.kind == "invitation",
                messages.c.state.in_(TAKEN),
                or_(messages.c.state_at.is_(None), messages.c.state_at > since),
            )
            for account, state_at, planned_at in conn.execute(neighbours):
                checks.asked_of.setdefault(account, []).append(state_at or planned_at)
        return checks

    def refuse(self, row: Row) -> str | None:
        """Why this message must never be sent, or None."""
        if row["expires_at"] is not None and row["expires_at"] <= self.now:
            return Rule.EXPIRED.value
        if row["kind"] == "alert":
            return None
        if row["kind"] != "reply" and row["invitation_id"] in self.answered:
            return ANSWERED
        if row["person_key"] in self.suppressed or (row["person_key"], row["survey_id"]) in self.unwanted:
            return Rule.SUPPRESSED.value
        if {("contact", row["contact_id"]), ("account", row["account_id"])} & self.excluded:
            return Rule.EXCLUDED.value
        if row["kind"] != "invitation":  # reminders of an invitation that was sent, replies to its answer
            return None
        if self._cools_down(row):
            return Rule.COOLDOWN.value
        if self._account_is_full(row):
            return Rule.ACCOUNT_CAP.value
        return None

    def opens_at(self, row: Row) -> dt.datetime | None:
        """When this message may be sent by its survey's business hours: `now` itself where they are open, or where it
        has none; None when they never open again. Alerts never wait."""
        hours = _definition(row).get("business_hours")
        if row["kind"] == "alert" or not hours:
            return self.now
        key = (to_json(hours), row["payload"].get("time_zone"))
        if key not in self.openings:
            self.openings[key] = next_opening(BusinessHours.model_validate(hours, extra="ignore"), key[1], self.now)
        return self.openings[key]

    def took(self, row: Row) -> None:
        """Count a message that was just claimed for cooldown and cap of the next."""
        if row["kind"] != "invitation":
            return
        if row["person_key"]:
            self.asked.setdefault(row["person_key"], []).append((row["survey_id"], self.now))
        if row["account_id"]:
            self.asked_of.setdefault(row["account_id"], []).append(self.now)

    def _cools_down(self, row: Row) -> bool:
        definition = _definition(row)
        scope, family = (definition.get("cooldown") or {}).get("scope"), definition.get("family")

        def counts(survey_id: str) -> bool:
            if survey_id == row["survey_id"] or scope not in ("survey", "family"):
                return True
            return scope == "family" and family is not None and self.families.get(survey_id) == family

        wished = self.wished_days.get(row["person_key"] or "", 0)
        return any(
            (self.now.date() - at.date()).days < wished
            or ((self.now.date() - at.date()).days < row["cooldown_days"] and counts(survey_id))
            for survey_id, at in self.asked.get(row["person_key"] or "", ())
        )

    def _account_is_full(self, row: Row) -> bool:
        cap = _account_cap(row)
        if cap is None or not row["account_id"]:
            return False
        lately = [
            at for at in self.asked_of.get(row["account_id"], ()) if (self.now.date() - at.date()).days < cap["days"]
        ]
        return len(lately) >= cap["invitations"]


def _definition(row: Row) -> Mapping[str, Any]:
    return row["payload"].get("definition") or {}


def _account_cap(row: Row) -> Mapping[str, int] | None:
    return _definition(row).get("account_cap") if row["kind"] == "invitation" else None
