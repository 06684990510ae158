"""What a page may post, read strictly: a body of bounded size, a score of the scale, a comment of bounded length."""

from __future__ import annotations

import re
from dataclasses import dataclass

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 32 * 1024
MAX_COMMENT = 5_000
MAX_FIELDS = 20
_SCORE = re.compile(r"[0-9]|10")
_MAX_VISIBLE_MS = 24 * 60 * 60 * 1000
# What a text column or a reader cannot take; tabs and line ends stay.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


class BadField(Exception):
    """A posted value is not acceptable; `problem` says so in words for the person who sent it."""

    def __init__(self, field: str, problem: str) -> None:
        self.field, self.problem = field, problem
        super().__init__(f"{field}: {problem}")


@dataclass(frozen=True, slots=True)
class Posted:
    """One posted answer."""

    score: int
    comment: str | None
    judged: str
    visible_ms: int | None


def read_score(value: str | None) -> int | None:
    """0 to 10, or None when nothing was chosen. Raises BadField for anything else."""
    if value is None or value == "":
        return None
    if not _SCORE.fullmatch(value):
        raise BadField("score", "The score must be a whole number from 0 to 10.")
    return int(value)


def read_answer(form: FormData) -> Posted:
    """The posted answer. `input=human` says that the page saw a person's hand. Raises BadField."""
    score = read_score(_text(form, "score"))
    if score is None:
        raise BadField("score", "Please choose a score from 0 to 10.")
    comment = _UNPRINTABLE.sub("", (_text(form, "comment") or "").replace("\r\n", "\n").replace("\r", "\n")).strip()
    if len(comment) > MAX_COMMENT:
        raise BadField(
            "comment", f"Your comment is longer than {MAX_COMMENT:,} characters. Please shorten it a little."
        )
    visible = _text(form, "visible_ms") or ""
    return Posted(
        score=score,
        comment=comment or None,
        judged="human" if _text(form, "input") == "human" else "provisional",
        visible_ms=min(int(visible), _MAX_VISIBLE_MS) if re.fullmatch(r"[0-9]{1,12}", visible) else None,
    )


def _text(form: FormData, name: str) -> str | None:
    value = form.get(name)
    return value if isinstance(value, str) else None


class BodyLimit:
    """ASGI middleware: 413 for a request body over MAX_BODY bytes, declared or streamed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                raise HTTPException(413)
            return message

        await self._app(scope, limited, send)
