"""Wootric (InMoment): responses and declines as its webhooks and its API give them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ingestion.sources.tools.rows import Asked, Row, moment_of, plain, records, text_of


def read_wootric(file: Path, asked: Asked) -> Iterator[Row | None]:
    """A decline is an invitation without an answer. Wootric's records don't tell NPS from CES (1-7) and CSAT (1-5): for those
    the scale must be given. What it leaves out of its own calculations says so in an attribute."""
    for envelope in records(file):
        declined = isinstance(envelope.get("decline"), dict)
        raw = envelope["decline"] if declined else envelope.get("response", envelope)
        raw = raw if isinstance(raw, dict) else {}
        user = raw.get("end_user") if isinstance(raw.get("end_user"), dict) else {}
        own = text_of(raw.get("id"))
        yield Row(
            external_id=f"decline-{own}" if declined and own else own,
            survey="wootric",
            score="" if declined else text_of(raw.get("score")),
            comment=text_of(raw.get("text")),
            contact_id=text_of(raw.get("end_user_id")),
            contact_email=text_of(raw.get("email") or user.get("email")),
            submitted_at=moment_of(raw.get("created_at"), asked.time_zone),
            version=moment_of(raw.get("updated_at"), asked.time_zone),
            attributes={
                **plain(raw.get("end_user_properties")),
                "excluded_by_tool": text_of(raw.get("excluded_from_calculations")),
            },
        )
