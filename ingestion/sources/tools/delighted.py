"""Delighted: survey responses as its API gives them, or as its webhook posts them (`event_data`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ingestion.sources.tools.rows import Asked, Row, moment_of, plain, records, text_of

SCALES = {
    "nps": "0-10",
    "enps": "0-10",
    "csat": "1-5",
    "ces": "1-5",
    "smileys": "1-5",
    "5_star": "1-5",
    "stars": "1-5",
    "thumbs": "0-1",
}


def read_delighted(file: Path, asked: Asked) -> Iterator[Row | None]:
    """The person's id is the contact; properties become attributes. The survey is named by its type where nobody names it."""
    for envelope in records(file):
        raw = envelope.get("event_data") if isinstance(envelope.get("event_data"), dict) else envelope
        if "score" not in raw:
            yield None if "id" in raw and "survey_type" not in raw else Row("", "delighted")
            continue
        kind = text_of(raw.get("survey_type")) or "nps"
        person = raw.get("person")
        is_open = isinstance(person, dict)
        yield Row(
            external_id=text_of(raw.get("id")),
            survey=f"delighted-{kind}",
            score=text_of(raw.get("score")),
            scale=SCALES.get(kind, "unknown"),
            comment=text_of(raw.get("comment")),
            contact_id=text_of(person.get("id") if is_open else person),
            contact_email=text_of(person.get("email")) if is_open else "",
            submitted_at=moment_of(raw.get("created_at"), asked.time_zone),
            version=text_of(raw.get("updated_at")).zfill(12),
            attributes=plain(raw.get("person_properties"), but=("name", "email", "phone_number")),
        )
