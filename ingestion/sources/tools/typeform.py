"""Typeform: form responses as its webhook posts them, or pages of its Responses API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from closedloop.errors import BadInput
from ingestion.sources.tools.rows import Asked, Row, moment_of, plain, records, text_of

SCORED = ("nps", "opinion_scale", "rating")
_VALUES = ("text", "email", "number", "boolean", "date", "phone_number", "url")


def read_typeform(file: Path, asked: Asked) -> Iterator[Row | None]:
    """The score is the question of type `nps`; where there is none, the one opinion scale from 0 to 10, or the question that is
    named. Ratings and other scales keep their own. Hidden fields `contact_id`, `account_id` and `email` say who answers."""
    for envelope in records(file):
        raw = envelope.get("form_response", envelope)
        raw = raw if isinstance(raw, dict) else {}
        fields = _fields(raw, asked)
        answers = [one for one in raw.get("answers") or () if isinstance(one, dict)]
        scored = _scored(answers, fields, asked, file)
        hidden = raw.get("hidden") if isinstance(raw.get("hidden"), dict) else {}
        yield Row(
            external_id=text_of(raw.get("token") or raw.get("response_id")),
            survey=f"typeform-{text_of(raw.get('form_id') or (raw.get('definition') or {}).get('id')) or 'form'}",
            score=text_of(scored.get("number")) if scored else "",
            scale=_scale(scored, fields) if scored else "0-10",
            comment=_comment(answers, asked),
            contact_id=text_of(hidden.get("contact_id")),
            contact_email=text_of(hidden.get("email") or _email(answers)),
            account_id=text_of(hidden.get("account_id")),
            channel="web form",
            submitted_at=moment_of(raw.get("submitted_at"), asked.time_zone),
            version=moment_of(raw.get("submitted_at"), asked.time_zone),
            attributes={
                **plain(hidden, but=("contact_id", "account_id", "email")),
                **{_name(one): _value(one) for one in answers if one is not scored and one.get("type") == "choice"},
            },
        )


def _fields(raw: Mapping[str, Any], asked: Asked) -> dict[str, Mapping[str, Any]]:
    """The form's questions by id, from the response or from the form's description."""
    definition = raw.get("definition") or asked.details or {}
    return {str(one.get("id")): one for one in definition.get("fields") or () if isinstance(one, dict)}


def _scored(
    answers: list[dict[str, Any]], fields: Mapping[str, Mapping[str, Any]], asked: Asked, file: Path
) -> dict[str, Any] | None:
    numbers = [one for one in answers if _kind(one) in SCORED]
    if asked.question:
        return next((one for one in answers if asked.question in (_field(one).get("id"), _field(one).get("ref"))), None)
    for wanted in ("nps", "opinion_scale"):
        found = [one for one in numbers if _kind(one) == wanted and _scale(one, fields) == "0-10"]
        if len(found) > 1:
            raise BadInput(
                "several questions could be the score",
                file=file,
                field="question",
                remedy="name one with --question ID",
            )
        if found:
            return found[0]
    return numbers[0] if len(numbers) == 1 else None


def _scale(answer: Mapping[str, Any], fields: Mapping[str, Mapping[str, Any]]) -> str:
    """From the form: an opinion scale has 11 steps from 0 unless it says otherwise, a rating 5 from 1."""
    kind = _kind(answer)
    properties = fields.get(str(_field(answer).get("id")), {}).get("properties") or {}
    if kind == "nps":
        return "0-10"
    first = 1 if kind == "rating" or properties.get("start_at_one") else 0
    steps = int(properties.get("steps") or (5 if kind == "rating" else 11))
    return f"{first}-{first + steps - 1}"


def _comment(answers: list[dict[str, Any]], asked: Asked) -> str:
    texts = [
        one
        for one in answers
        if one.get("type") == "text"
        and (not asked.comment or asked.comment in (_field(one).get("id"), _field(one).get("ref")))
    ]
    return text_of(texts[0].get("text")) if texts else ""


def _email(answers: list[dict[str, Any]]) -> str:
    return next((text_of(one.get("email")) for one in answers if one.get("type") == "email"), "")


def _field(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    found = answer.get("field")
    return found if isinstance(found, dict) else {}


def _kind(answer: Mapping[str, Any]) -> str:
    return str(_field(answer).get("type") or "")


def _name(answer: Mapping[str, Any]) -> str:
    return text_of(_field(answer).get("ref") or _field(answer).get("id"))


def _value(answer: Mapping[str, Any]) -> str:
    choice = answer.get("choice")
    if isinstance(choice, dict):
        return text_of(choice.get("label") or choice.get("other"))
    return next((text_of(answer[name]) for name in _VALUES if name in answer), "")
