"""The survey: its page, the answer to it, and the picture that tells that a mail was opened."""

from __future__ import annotations

import base64
import datetime as dt
import logging

from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from closedloop.errors import Busy
from closedloop.ledger.answers import Answer, Invitation
from closedloop.links import Purpose
from ingestion.collector import desk, pages, preview
from ingestion.collector.commit import Overloaded
from ingestion.collector.forms import BadField, Fields, read_answer, read_score
from ingestion.collector.shared import Shared, as_json, posted_fields, wants_json

log = logging.getLogger("closedloop.collector")

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")


class SurveyPages:
    """A GET writes nothing but a raw hit; a 2xx after a POST means that the answer is on disk."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.routes = [
            Route("/s/{token}", self.question, methods=["GET"]),
            Route("/s/{token}", self.answer, methods=["POST"]),
            Route("/s/{token}/more", self.trap, methods=["GET"]),
            Route("/o/{token}.gif", self.opened, methods=["GET"]),
        ]

    async def question(self, request: Request) -> Response:
        return await self._visit(request, hidden=False)

    async def trap(self, request: Request) -> Response:
        """A person who finds this link by chance gets the page all the same."""
        return await self._visit(request, hidden=True)

    async def _visit(self, request: Request, *, hidden: bool) -> Response:
        invitation_id = self._shared.invitation_id(request, Purpose.SURVEY)
        if (sample := preview.sample_of(invitation_id)) is not None:
            return await preview.show(self._shared, request, sample)
        problem, score = None, None
        try:
            score = read_score(request.query_params.get("score"))
        except BadField as error:
            problem = error
        at = self._shared.clock.now()
        kind = "clicked" if score is not None or hidden else "viewed"
        head = request.method == "HEAD"
        found = await self._shared.commit(
            desk.visit(
                invitation_id,
                kind,
                at=at,
                now=self._shared.clock.now,
                score=score,
                hidden=hidden,
                head=head,
                user_agent=request.headers.get("user-agent", ""),
            )
        )
        if found is None:
            raise HTTPException(404)
        self._shared.metrics.count("closedloop_collector_hits_total", kind=kind)
        look = pages.Look(found.payload)
        if found.is_expired(at):
            return self._ended(look)
        if found.answer is not None and desk.is_settled(found.answer, at):
            return self._settled(look, found, found.answer, 200)
        return self._page(found, look, score=score, problem=problem, status=422 if problem else 200)

    async def answer(self, request: Request) -> Response:
        invitation_id = self._shared.invitation_id(request, Purpose.SURVEY)
        if (sample := preview.sample_of(invitation_id)) is not None:
            return await preview.show(self._shared, request, sample)
        at = self._shared.clock.now()
        fields = await posted_fields(request)
        try:
            posted = read_answer(fields)
            heard = await self._shared.commit(desk.answer(invitation_id, posted, at=at, now=self._shared.clock.now))
        except BadField as error:
            if wants_json(request):
                raise
            return await self._ask_again(invitation_id, error, fields, at)
        if heard is None:
            raise HTTPException(404)
        if heard.answer is None:
            if wants_json(request):
                raise HTTPException(410)
            return self._ended(pages.Look(heard.invitation.payload))
        self._shared.metrics.count("closedloop_collector_answers_total", judged=posted.judged)
        if wants_json(request) and not heard.too_late:
            return as_json(200, {"status": "recorded", "score": heard.answer.score})
        look = pages.Look(heard.invitation.payload)
        if wants_json(request):
            problem = look.say("settled.too_late")
            return as_json(409, {"status": "too_late", "problem": problem, "score": heard.answer.score})
        if heard.too_late:
            return self._settled(look, heard.invitation, heard.answer, 409)
        return pages.thanks_page(
            look,
            score=heard.answer.score,
            change=self._shared.path("s", invitation_id, Purpose.SURVEY),
            preferences=self._way_out("p", heard.invitation, Purpose.PREFERENCES),
        )

    def _settled(self, look: pages.Look, invitation: Invitation, answer: Answer, status: int) -> Response:
        preferences = self._way_out("p", invitation, Purpose.PREFERENCES)
        return pages.settled_page(look, answer, status, preferences=preferences)

    def _way_out(self, letter: str, invitation: Invitation, purpose: Purpose) -> str:
        """Where mails can be stopped; nowhere for a visitor who gave no address."""
        return self._shared.path(letter, invitation.invitation_id, purpose) if invitation.person_key else ""

    async def _ask_again(self, invitation_id: str, error: BadField, fields: Fields, at: dt.datetime) -> Response:
        """The page again with what was wrong; what was written and chosen stays in it."""
        found = await run_in_threadpool(
            self._shared.read, lambda conn: desk.ledger_answers.invitation(conn, invitation_id)
        )
        if found is None:
            raise HTTPException(404)
        look = pages.Look(found.payload)
        if found.is_expired(at):
            return self._ended(look)
        self._shared.metrics.count("closedloop_collector_refused_total", status="422")
        score = read_score(fields["score"][-1]) if error.field != "score" else None
        return self._page(found, look, score=score, problem=error, fields=fields, status=422)

    def _page(self, found: Invitation, look: pages.Look, **shown: object) -> Response:
        return pages.survey_page(
            look,
            action=self._shared.path("s", found.invitation_id, Purpose.SURVEY),
            unsubscribe=self._way_out("u", found, Purpose.UNSUBSCRIBE),
            answer=found.answer,
            **shown,  # type: ignore[arg-type]
        )

    def _ended(self, look: pages.Look) -> Response:
        self._shared.metrics.count("closedloop_collector_refused_total", status="410")
        return pages.refusal_page(look, 410)

    async def opened(self, request: Request) -> Response:
        """The picture comes in any case: a broken one would be the only thing a reader notices."""
        try:
            invitation_id = self._shared.invitation_id(request, Purpose.OPEN)
            at = self._shared.clock.now()
            if (
                await self._shared.commit(
                    desk.visit(
                        invitation_id,
                        "opened",
                        at=at,
                        now=self._shared.clock.now,
                        head=request.method == "HEAD",
                        user_agent=request.headers.get("user-agent", ""),
                    )
                )
                is not None
            ):
                self._shared.metrics.count("closedloop_collector_hits_total", kind="opened")
        except HTTPException:
            pass
        except (Busy, DBAPIError, OSError, Overloaded):
            log.warning("an open could not be recorded")
        return Response(PIXEL, media_type="image/gif")
