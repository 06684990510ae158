"""What a page may post, read strictly: a body of bounded size, a score of the scale, texts of bounded length, and answers
to questions that the survey has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from closedloop.errors import ClosedLoopError
from closedloop.ledger.wishes import OFTEN
from closedloop.programme.content import SurveyQuestion, questions_for

MAX_BODY = 32 * 1024
MAX_BATCH = 4 * 1024 * 1024
"""A mail provider reports many messages at once."""
MAX_COMMENT = 5_000
MAX_TEXT = 2_000
MAX_FIELDS = 700
"""A programme has 20 questions with 30 choices at most."""
OWN_FIELDS = frozenset({"score", "comment", "input", "visible_ms"})
_SCORE = re.compile(r"[0-9]|10")
_EMAIL = re.compile(r"[^\s@<>,;:\"\\\x00-\x1f]{1,64}@[^\s@<>,;:\"\\\x00-\x1f]{1,190}\.[^\s@<>,;:\"\\\x00-\x1f.]{2,63}")
_MAX_VISIBLE_MS = 24 * 60 * 60 * 1000
# What a text column or a reader cannot take; tabs and line ends stay.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")

Fields = Mapping[str, Sequence[str]]
Answers = dict[str, str | list[str]]


class BadField(ClosedLoopError):
    """A posted value is not acceptable; `phrase` names the words for the person who sent it.

    An error of ours, so that those who are committed with it do not wait for it.
    """

    def __init__(self, field: str, phrase: str, **values: object) -> None:
        self.field, self.phrase, self.values = field, phrase, values
        super().__init__(f"{field}: {phrase}")


@dataclass(frozen=True, slots=True)
class Posted:
    """One posted answer. `comment` is None, and a question not in `fields`, where it was not posted: what stands, stands."""

    score: int
    comment: str | None = field(repr=False)
    fields: Fields = field(repr=False)
    judged: str
    visible_ms: int | None


def read_score(value: str | None) -> int | None:
    """0 to 10, or None when nothing was chosen. Raises BadField for anything else."""
    if value is None or value == "":
        return None
    if not _SCORE.fullmatch(value):
        raise BadField("score", "problem.score")
    return int(value)


def fields_of(form: FormData) -> dict[str, list[str]]:
    """All posted texts by the name of their field."""
    fields: dict[str, list[str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            fields.setdefault(name, []).append(value)
    return fields


def read_answer(fields: Fields) -> Posted:
    """The posted answer; `read_answers` reads the further questions. `input=human` says that the page saw a person's hand.

    Raises BadField.
    """
    score = read_score(_last(fields, "score"))
    if len(set(fields.get("score", ()))) > 1:  # nobody chose two
        raise BadField("score", "problem.score")
    if score is None:
        raise BadField("score", "problem.no_score")
    comment = clean(_last(fields, "comment"))
    if len(comment) > MAX_COMMENT:
        raise BadField("comment", "problem.long_comment", limit=f"{MAX_COMMENT:,}")
    visible = _last(fields, "visible_ms")
    return Posted(
        score=score,
        comment=comment if "comment" in fields else None,
        fields={name: values for name, values in fields.items() if name not in OWN_FIELDS},
        judged="human" if _last(fields, "input") == "human" else "provisional",
        visible_ms=min(int(visible), _MAX_VISIBLE_MS) if re.fullmatch(r"[0-9]{1,12}", visible) else None,
    )


def read_email(text: str) -> str:
    """The address that a visitor gave, or '' for none. Raises BadField for what is none."""
    address = text.strip()
    if address and not _EMAIL.fullmatch(address):
        raise BadField("email", "problem.email")
    return address


def is_address(text: object) -> bool:
    """Whether mail could be sent there."""
    return isinstance(text, str) and bool(_EMAIL.fullmatch(text.strip()))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What a person chose to get: nothing, or which surveys and how often at most."""

    any: bool
    wanted: frozenset[str]
    at_most_every_days: int | None


def read_choice(fields: Fields) -> Chosen:
    """The posted preference page. Raises BadField."""
    surveys, days = _last(fields, "surveys"), _last(fields, "at_most_every_days")
    if surveys not in ("some", "none") or days not in {str(number or "") for number in OFTEN}:
        raise BadField("surveys", "problem.choice")
    return Chosen(surveys == "some", frozenset(fields.get("wanted", ())), int(days) if days else None)


def field_of(question: SurveyQuestion) -> str:
    """The name of a question's field. Variants of one question all stand in the page, so it says which one it is."""
    return f"{question.id}:{question.scores}"


def fields_with(questions: tuple[SurveyQuestion, ...], score: int, answers: Answers) -> dict[str, list[str]]:
    """Answers that stand for a score, as the fields that a page posts them with."""
    return {
        field_of(question): [answer] if isinstance(answer, str) else list(answer)
        for question in questions_for(questions, score)
        if (answer := answers.get(question.id))
    }


def read_answers(questions: tuple[SurveyQuestion, ...], score: int, fields: Fields) -> Answers:
    """The answers to the further questions that follow `score`, in the survey's order; what belongs to others is dropped.

    A field is named by `field_of`, or by the question's id alone. Raises BadField for a question that the survey does not
    have, a choice that it does not offer, a second choice where one is taken, and a text that is too long.
    """
    names = {name for question in questions for name in (question.id, field_of(question))}
    if not fields.keys() <= names:
        raise BadField("answers", "problem.unknown_question")
    answers: Answers = {}
    for question in questions_for(questions, score):
        posted = next((fields[name] for name in (question.id, field_of(question)) if name in fields), ())
        if posted and (answer := _read(question, posted)):
            answers[question.id] = answer
    return answers


def _read(question: SurveyQuestion, values: Sequence[str]) -> str | list[str]:
    """One answer; empty where nothing was written or chosen (a page always posts an empty value with its choices)."""
    if question.kind == "open":
        text = clean(values[-1])
        if len(text) > MAX_TEXT:
            raise BadField(field_of(question), "problem.long_answer", limit=f"{MAX_TEXT:,}")
        return text
    taken = set(values) - {""}
    chosen = [choice.id for choice in question.choices if choice.id in taken]
    if len(chosen) < len(taken):
        raise BadField(field_of(question), "problem.unknown_choice")
    if question.several:
        return chosen
    if len(chosen) > 1:
        raise BadField(field_of(question), "problem.one_choice")
    return "".join(chosen)


def _last(fields: Fields, name: str) -> str:
    return fields.get(name, ("",))[-1]


def clean(text: str) -> str:
    """Without what a text column or a reader cannot take, and blanks around it."""
    return _UNPRINTABLE.sub("", text.replace("\r\n", "\n").replace("\r", "\n")).strip()


class BodyLimit:
    """ASGI middleware: 413 for a request body over MAX_BODY bytes (MAX_BATCH for webhooks), declared or streamed, and
    400 for one that is never finished."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received, limit = 0, MAX_BATCH if "/webhooks/" in scope["path"] else MAX_BODY

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            if message["type"] == "http.disconnect":  # who leaves in the middle has said nothing
                raise HTTPException(400)
            received += len(message.get("body", b""))
            if received > limit:
                raise HTTPException(413)
            return message

        await self._app(scope, limited, send)
