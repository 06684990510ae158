"""SurveyMonkey: responses of its API (`/surveys/{id}/responses/bulk`), best with `simple=true`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from closedloop.errors import BadInput
from ingestion.sources.tools.rows import Asked, Row, moment_of, plain, records, text_of

_NUMBER = re.compile(r"\d{1,2}")


def read_surveymonkey(file: Path, asked: Asked) -> Iterator[Row | None]:
    """The score is the text of the choice, from `simple_text` or from the survey's details. The weight (-100, 0, 100) that
    SurveyMonkey gives a choice is its own category, and is left."""
    choices, scored = _choices(asked.details), _scored(asked.details)
    wanted = asked.question or scored
    for raw in records(file):
        answers = _answers(raw)
        question = wanted or _only_scored(answers)
        answer = answers.get(question or "", {})
        score = _score(answer, choices)
        if answer and not score and answer.get("choice_id"):
            raise BadInput(
                "the answers name choices by their ids only, so nobody can tell the score",
                file=file,
                field="details",
                remedy="fetch the responses with simple=true, or give the survey's details with --details FILE",
            )
        if question is None and answers:
            raise BadInput(
                "a response does not say which question is the score",
                file=file,
                field="question",
                remedy="name it with --question ID, or give the survey's details with --details FILE",
            )
        variables = raw.get("custom_variables") if isinstance(raw.get("custom_variables"), dict) else {}
        yield Row(
            external_id=text_of(raw.get("id")),
            survey=f"surveymonkey-{text_of(raw.get('survey_id')) or 'survey'}",
            score=score,
            scale=_scale(question, asked.details),
            comment=text_of(answers.get(asked.comment or "", {}).get("text")),
            contact_id=text_of(variables.get("contact_id") or raw.get("custom_value")),
            contact_email=text_of(raw.get("email_address")),
            account_id=text_of(variables.get("account_id")),
            channel=text_of(raw.get("collection_mode")) or "web form",
            submitted_at=moment_of(raw.get("date_modified"), asked.time_zone),
            version=moment_of(raw.get("date_modified"), asked.time_zone),
            attributes={
                **plain(variables, but=("contact_id", "account_id")),
                "response_status": text_of(raw.get("response_status")),
            },
        )


def _answers(raw: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The first answer to each question."""
    found: dict[str, dict[str, Any]] = {}
    for page in raw.get("pages") or ():
        for question in page.get("questions") or ():
            if question.get("answers"):
                family = {"family": question.get("family"), "subtype": question.get("subtype")}
                found[text_of(question.get("id"))] = {**family, **question["answers"][0]}
    return found


def _only_scored(answers: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The question whose choice has SurveyMonkey's NPS weights, if there is exactly one."""
    found = [
        name
        for name, one in answers.items()
        if text_of((one.get("choice_metadata") or {}).get("weight")) in ("-100", "0", "100") and one.get("row_id")
    ]
    return found[0] if len(found) == 1 else None


def _score(answer: Mapping[str, Any], choices: Mapping[str, str]) -> str:
    for said in (answer.get("simple_text"), choices.get(text_of(answer.get("choice_id")))):
        if match := _NUMBER.match(text_of(said).strip()):
            return match[0]
    return ""


def _questions(details: Mapping[str, Any] | None) -> Iterator[Mapping[str, Any]]:
    for page in (details or {}).get("pages") or ():
        yield from page.get("questions") or ()


def _choices(details: Mapping[str, Any] | None) -> dict[str, str]:
    return {
        text_of(choice.get("id")): text_of(choice.get("text"))
        for question in _questions(details)
        for choice in (question.get("answers") or {}).get("choices") or ()
    }


def _is_nps(question: Mapping[str, Any]) -> bool:
    settings = question.get("display_options") or {}
    texts = [text_of(one.get("text")) for one in (question.get("answers") or {}).get("choices") or ()]
    numbers = {match[0] for text in texts if (match := _NUMBER.match(text))}
    return settings.get("display_subtype") == "nps" or numbers == {str(number) for number in range(11)}


def _scored(details: Mapping[str, Any] | None) -> str | None:
    found = [text_of(one.get("id")) for one in _questions(details) if _is_nps(one)]
    return found[0] if len(found) == 1 else None


def _scale(question: str | None, details: Mapping[str, Any] | None) -> str:
    """0-10, unless the details say that the question has other numbers."""
    for one in _questions(details):
        if text_of(one.get("id")) == question and not _is_nps(one):
            texts = [text_of(choice.get("text")) for choice in (one.get("answers") or {}).get("choices") or ()]
            numbers = sorted(int(match[0]) for text in texts if (match := _NUMBER.match(text)))
            return f"{numbers[0]}-{numbers[-1]}" if numbers else "unknown"
    return "0-10"
