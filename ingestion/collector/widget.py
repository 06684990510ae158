"""The widget and the portal's card: one script, which asks here whether its visitor is due, and sends the answer.

All that writes is a POST of a form from an origin that is allowed. Who the visitor is stands in a signed context; what is
shown is one invitation of theirs, named by a token of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from closedloop.contexts import BadContext, read_context
from closedloop.errors import BadInput
from closedloop.ledger import answers as ledger_answers
from closedloop.ledger import showing
from closedloop.ledger.answers import Invitation
from closedloop.links import BadLink, Purpose, read, sign, survey_link
from closedloop.programme import Survey
from ingestion.collector import desk, pages, preview
from ingestion.collector.forms import BadField, read_answer
from ingestion.collector.shared import Shared, as_json, posted_fields

SCRIPT = (Path(__file__).parent / "assets" / "widget.js").read_text(encoding="utf-8")


class Widget:
    """`/widget.js`, its three questions, and the portal's page."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        own = urlsplit(shared.settings.collector_url)
        self._origins = {f"{own.scheme}://{own.netloc}", *shared.settings.widget_origins}
        self.routes = [
            Route("/widget.js", self.script, methods=["GET"]),
            Route("/widget/show", self.show, methods=["POST"]),
            Route("/widget/answer", self.answer, methods=["POST"]),
            Route("/widget/dismiss", self.dismiss, methods=["POST"]),
            Route("/portal/{context}", self.portal, methods=["GET"]),
        ]

    async def script(self, request: Request) -> Response:
        headers = {"Cache-Control": "public, max-age=300"}
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
        return Response(SCRIPT, media_type="text/javascript", headers=headers)

    async def show(self, request: Request) -> Response:
        """200 with the texts when this visitor is due, else 204. What is shown counts as asked from now on."""
        origin, fields = self._origin(request), await posted_fields(request)
        context, place = _one(fields, "context"), _place(fields)
        if context.startswith(preview.CONTEXT):
            return self._allow(
                await self._show_preview(context.removeprefix(preview.CONTEXT), _one(fields, "language")), origin
            )
        now = self._shared.clock.now()
        try:
            contact = read_context(self._shared.settings.widget_secret, context, now=now)
        except BadContext:
            return self._allow(as_json(403, {"status": "bad_context"}), origin)
        surveys = await run_in_threadpool(self._shared.programmes.all)
        found = await self._shared.commit(_show(contact, place, surveys, self._shared.clock.now))
        if found is None:
            return self._allow(Response(status_code=204), origin)
        self._shared.metrics.count("closedloop_collector_hits_total", kind="shown")
        look = pages.Look(found.payload)
        token = sign(self._shared.settings.link_secret, found.invitation_id, Purpose.WIDGET)
        more = survey_link(self._shared.settings, found.invitation_id) if look.survey and look.survey.questions else ""
        return self._allow(as_json(200, {"token": token, "more": more, **_texts(look)}), origin)

    async def answer(self, request: Request) -> Response:
        origin, fields = self._origin(request), dict(await posted_fields(request))
        token, place = _one(fields, "token"), _place(fields)
        invitation_id = self._invitation_id(token)
        for name in ("token", "place"):
            fields.pop(name, None)
        try:
            posted = read_answer(fields)
            at = self._shared.clock.now()
            work = desk.answer(invitation_id, posted, at=at, now=self._shared.clock.now, channel=place)
            heard = await self._shared.commit(work)
        except BadField as error:
            problem = {"status": "invalid", "field": error.field, "problem": pages.Look().problem(error)}
            return self._allow(as_json(422, problem), origin)
        if heard is None:
            raise HTTPException(404)
        if heard.answer is None:
            return self._allow(as_json(410, {"status": "over"}), origin)
        self._shared.metrics.count("closedloop_collector_answers_total", judged=posted.judged)
        status, word = (409, "too_late") if heard.too_late else (200, "recorded")
        return self._allow(as_json(status, {"status": word, "score": heard.answer.score}), origin)

    async def dismiss(self, request: Request) -> Response:
        """Closed without an answer: no score, and not shown again on any device."""
        origin, fields = self._origin(request), await posted_fields(request)
        invitation_id, place = self._invitation_id(_one(fields, "token")), _place(fields)
        now = self._shared.clock.now
        await self._shared.commit(lambda conn: showing.dismiss(conn, invitation_id, place, now=now()))
        return self._allow(Response(status_code=204), origin)

    async def portal(self, request: Request) -> Response:
        """A page of ours with the card, for portals that link to it instead of holding the script."""
        context = request.path_params["context"]
        try:
            read_context(self._shared.settings.widget_secret, context, now=self._shared.clock.now())
        except BadContext:
            raise HTTPException(404) from None
        return pages.widget_page(pages.Look(), base=self._shared.base, context=context, mode="card")

    async def _show_preview(self, survey_id: str, language: str) -> Response:
        try:
            survey = await run_in_threadpool(preview.find, self._shared.settings, survey_id)
        except BadInput:  # the preview's page says what its file needs
            survey = None
        if survey is None:
            raise HTTPException(404)
        return as_json(200, {"token": "", "more": "", **_texts(preview.look_of(survey, language or None))})

    def _origin(self, request: Request) -> str:
        """The page that asks, if it may. Raises 403: a browser always says where a page comes from."""
        origin = request.headers.get("origin", "")
        if origin not in self._origins:
            raise HTTPException(403)
        return origin

    def _allow(self, response: Response, origin: str) -> Response:
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Vary"] = "Origin"
        return response

    def _invitation_id(self, token: str) -> str:
        try:
            return read(self._shared.settings.link_secret, token, Purpose.WIDGET)
        except BadLink:
            raise HTTPException(404) from None


def _show(
    contact: str, place: str, surveys: dict[str, Survey], now: Callable[[], dt.datetime]
) -> Callable[[Connection], Invitation | None]:
    def work(conn: Connection) -> Invitation | None:
        invitation_id = showing.show(conn, contact, place, surveys, now=now())
        return ledger_answers.invitation(conn, invitation_id) if invitation_id else None

    return work


def _texts(look: pages.Look) -> dict[str, Any]:
    survey, say = look.survey, look.say
    assert survey is not None, "a widget shows a survey"
    bands = ("detractor", "passive", "promoter")
    colours = look.colours
    return {
        "language": look.language,
        "direction": look.direction,
        "company": look.company,
        "question": look.text(survey.question.text),
        "low": look.text(survey.question.low_label),
        "high": look.text(survey.question.high_label),
        "follow_up": {band: look.text(text) for band, text in survey.follow_up_questions.model_dump().items()},
        "thanks": {band: look.text(getattr(survey.thank_you, band)) for band in bands},
        "onward": {band: getattr(survey.redirect, band) or "" for band in bands},
        "colours": {
            "primary": colours.primary,
            "onPrimary": colours.on_primary,
            "edge": colours.edge,
            "darkPrimary": colours.dark_primary,
            "darkOnPrimary": colours.on_dark_primary,
        },
        "words": {
            "close": say("widget.close"),
            "more": say("widget.more"),
            "send": say("survey.send"),
            "chose": say.section("survey")["chose"],
            "optional": say("survey.optional", company=look.company),
            "sending": say("script.sending"),
            "failed": say("script.not_sent"),
            "onward": say.section("thanks")["onward"],
        },
    }


def _one(fields: Any, name: str) -> str:
    return fields.get(name, ("",))[-1]


def _place(fields: Any) -> str:
    return "portal" if _one(fields, "place") == "portal" else "in_app"
