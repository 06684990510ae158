"""Formbricks: responses as its webhooks post them (created, updated, finished) or as its API gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from closedloop.errors import BadInput
from ingestion.sources.tools.rows import Asked, Row, moment_of, plain, records, text_of

_SCALES = {"nps": "0-10"}


def read_formbricks(file: Path, asked: Asked) -> Iterator[Row | None]:
    """The score is the question that is named, or the one of type `nps` in the survey's description. A response that is not
    finished counts when it has a score; the newest of its events stands."""
    question = asked.question or _nps_question(asked.details)
    if question is None:
        raise BadInput(
            "a Formbricks response does not say which question is the score",
            file=file,
            field="question",
            remedy="name it with --question ID, or give the survey with --details FILE",
        )
    for envelope in records(file):
        inner = envelope.get("data")
        raw: Mapping[str, Any] = inner if "event" in envelope and isinstance(inner, dict) else envelope
        given = raw.get("data") if isinstance(raw.get("data"), dict) else {}
        contact = raw.get("contact") if isinstance(raw.get("contact"), dict) else {}
        about = raw.get("contactAttributes") if isinstance(raw.get("contactAttributes"), dict) else {}
        yield Row(
            external_id=text_of(raw.get("id")),
            survey=f"formbricks-{text_of(raw.get('surveyId')) or 'survey'}",
            score=text_of(given.get(question)),
            scale=_scale(question, asked),
            comment=text_of(given.get(asked.comment)) if asked.comment else "",
            contact_id=text_of(about.get("userId") or contact.get("userId") or contact.get("id")),
            contact_email=text_of(about.get("email")),
            channel="in-app" if (raw.get("survey") or {}).get("type") == "app" else "web form",
            submitted_at=moment_of(raw.get("createdAt"), asked.time_zone),
            version=moment_of(raw.get("updatedAt"), asked.time_zone),
            attributes=plain(about, but=("email", "userId", "firstName", "lastName")),
        )


def _questions(details: Mapping[str, Any] | None) -> list[Mapping[str, Any]]:
    inner = (details or {}).get("data")
    found = (inner if isinstance(inner, dict) else details or {}).get("questions") or ()
    return [one for one in found if isinstance(one, dict)]


def _nps_question(details: Mapping[str, Any] | None) -> str | None:
    return next((str(one["id"]) for one in _questions(details) if one.get("type") == "nps"), None)


def _scale(question: str, asked: Asked) -> str:
    """Without the survey's description the question that is named is taken for NPS."""
    found = next((one for one in _questions(asked.details) if one.get("id") == question), None)
    if found is None or found.get("type") in _SCALES:
        return "0-10"
    return f"1-{int(found.get('range') or 5)}"
