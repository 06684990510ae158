"""The collector as a Starlette application.

A GET writes nothing but a raw hit. A 2xx after a POST means that the ledger's transaction is on disk.
"""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar
from urllib.parse import urlsplit

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from closedloop.clock import Clock
from closedloop.errors import BadInput, Busy
from closedloop.ledger import Ledger
from closedloop.ledger.answers import Invitation
from closedloop.links import BadLink, Purpose, read, sign
from closedloop.phrases import phrases
from closedloop.settings import Settings
from ingestion.collector import desk, pages, preview
from ingestion.collector.commit import GroupCommit, Overloaded
from ingestion.collector.forms import (
    MAX_BODY,
    MAX_FIELDS,
    BadField,
    BodyLimit,
    Fields,
    fields_of,
    read_answer,
    read_answers,
    read_score,
)
from ingestion.collector.metrics import Metrics

T = TypeVar("T")
log = logging.getLogger("closedloop.collector")

PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")

REFUSALS = (400, 404, 405, 410, 413, 500, 503)


def create_app(settings: Settings, *, clock: Clock | None = None) -> Starlette:
    """The application; it opens the ledger when it starts and commits what waits when it stops."""
    return _Collector(settings, clock or settings.clock()).app


class _Collector:
    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings, self.clock, self.metrics = settings, clock, Metrics()
        self.base = urlsplit(settings.collector_url).path.rstrip("/")
        self.ledger: Ledger
        self.commits: GroupCommit
        failures = (Busy, DBAPIError, OSError, Overloaded)
        self.app = Starlette(
            routes=[
                Route("/s/{token}", self.question, methods=["GET"]),
                Route("/s/{token}", self.answer, methods=["POST"]),
                Route("/s/{token}/more", self.trap, methods=["GET"]),
                Route("/u/{token}", self.subscription, methods=["GET"]),
                Route("/u/{token}", self.unsubscribe, methods=["POST"]),
                Route("/o/{token}.gif", self.opened, methods=["GET"]),
                Route("/preview/{survey}", self.preview, methods=["GET", "POST"]),
                Route("/healthz", self.health, methods=["GET"]),
                Route("/metrics", self.show_metrics, methods=["GET"]),
                Route("/robots.txt", lambda request: PlainTextResponse("User-agent: *\nDisallow: /\n")),
            ],
            middleware=[Middleware(BodyLimit)],
            exception_handlers={
                HTTPException: self._refuse,
                BadField: self._refuse_field,
                Exception: self._fail,
                **dict.fromkeys(failures, self._unavailable),
            },
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self.ledger = await run_in_threadpool(Ledger.open, self.settings)
        self.commits = GroupCommit(self.ledger, self.metrics)
        self.commits.start()
        try:
            yield
        finally:
            await run_in_threadpool(self.commits.stop)
            self.ledger.close()

    # Survey -------------------------------------------------------------------------------------------------------

    async def question(self, request: Request) -> Response:
        return await self._visit(request, hidden=False)

    async def trap(self, request: Request) -> Response:
        """A person who finds this link by chance gets the page all the same."""
        return await self._visit(request, hidden=True)

    async def _visit(self, request: Request, *, hidden: bool) -> Response:
        invitation_id = self._invitation_id(request, Purpose.SURVEY)
        if (sample := preview.sample_of(invitation_id)) is not None:
            return await self._preview(request, sample)
        problem, score = None, None
        try:
            score = read_score(request.query_params.get("score"))
        except BadField as error:
            problem = error
        at = self.clock.now()
        kind = "clicked" if score is not None or hidden else "viewed"
        head = request.method == "HEAD"
        found = await self._commit(
            desk.visit(invitation_id, kind, at=at, now=self.clock.now, score=score, hidden=hidden, head=head)
        )
        if found is None:
            raise HTTPException(404)
        self.metrics.count("closedloop_collector_hits_total", kind=kind)
        look = pages.Look(found.payload)
        if found.is_expired(at):
            return self._ended(look)
        if found.answer is not None and desk.is_settled(found.answer, at):
            return pages.settled_page(look, found.answer, 200)
        return self._page(found, look, score=score, problem=problem, status=422 if problem else 200)

    async def answer(self, request: Request) -> Response:
        invitation_id = self._invitation_id(request, Purpose.SURVEY)
        if (sample := preview.sample_of(invitation_id)) is not None:
            return await self._preview(request, sample)
        at = self.clock.now()
        fields = await _fields(request)
        try:
            posted = read_answer(fields)
            heard = await self._commit(desk.answer(invitation_id, posted, at=at, now=self.clock.now))
        except BadField as error:
            if _wants_json(request):
                raise
            return await self._ask_again(invitation_id, error, fields, at)
        if heard is None:
            raise HTTPException(404)
        if heard.answer is None:
            if _wants_json(request):
                raise HTTPException(410)
            return self._ended(pages.Look(heard.invitation.payload))
        self.metrics.count("closedloop_collector_answers_total", judged=posted.judged)
        if _wants_json(request) and not heard.too_late:
            return _json(200, {"status": "recorded", "score": heard.answer.score})
        look = pages.Look(heard.invitation.payload)
        if _wants_json(request):
            problem = look.say("settled.too_late")
            return _json(409, {"status": "too_late", "problem": problem, "score": heard.answer.score})
        if heard.too_late:
            return pages.settled_page(look, heard.answer, 409)
        return pages.thanks_page(look, score=heard.answer.score, change=self._path("s", invitation_id, Purpose.SURVEY))

    async def _ask_again(self, invitation_id: str, error: BadField, fields: Fields, at: dt.datetime) -> Response:
        """The page again with what was wrong; what was written and chosen stays in it."""
        found = await run_in_threadpool(self._read, lambda conn: desk.ledger_answers.invitation(conn, invitation_id))
        if found is None:
            raise HTTPException(404)
        look = pages.Look(found.payload)
        if found.is_expired(at):
            return self._ended(look)
        self.metrics.count("closedloop_collector_refused_total", status="422")
        score = read_score(fields["score"][-1]) if error.field != "score" else None
        return self._page(found, look, score=score, problem=error, fields=fields, status=422)

    def _page(self, found: Invitation, look: pages.Look, **shown: object) -> Response:
        return pages.survey_page(
            look,
            action=self._path("s", found.invitation_id, Purpose.SURVEY),
            unsubscribe=self._path("u", found.invitation_id, Purpose.UNSUBSCRIBE),
            answer=found.answer,
            **shown,  # type: ignore[arg-type]
        )

    def _ended(self, look: pages.Look) -> Response:
        self.metrics.count("closedloop_collector_refused_total", status="410")
        return pages.refusal_page(look, 410)

    # Unsubscribe, open, preview -----------------------------------------------------------------------------------

    async def subscription(self, request: Request) -> Response:
        invitation_id = self._invitation_id(request, Purpose.UNSUBSCRIBE)
        found = await run_in_threadpool(self._read, lambda conn: desk.subscription(conn, invitation_id))
        if found is None:
            raise HTTPException(404)
        invitation, is_unsubscribed = found
        look = pages.Look(invitation.payload)
        if is_unsubscribed:
            return self._unsubscribed(look, is_new=False)
        return pages.unsubscribe_page(look, action=self._path("u", invitation_id, Purpose.UNSUBSCRIBE))

    async def unsubscribe(self, request: Request) -> Response:
        """One-click (RFC 8058) and the page's button alike: the address in the link is all that counts."""
        invitation_id = self._invitation_id(request, Purpose.UNSUBSCRIBE)
        at = self.clock.now()
        done = await self._commit(desk.unsubscribe(invitation_id, at=at, now=self.clock.now))
        if done is None:
            raise HTTPException(404)
        self.metrics.count("closedloop_collector_unsubscribes_total")
        invitation, is_new = done
        return self._unsubscribed(pages.Look(invitation.payload), is_new=is_new)

    def _unsubscribed(self, look: pages.Look, *, is_new: bool) -> Response:
        title = look.say("unsubscribe.done" if is_new else "unsubscribe.done_before")
        return pages.notice_page(title, look.say("unsubscribe.after", company=look.company), look=look)

    async def opened(self, request: Request) -> Response:
        """The picture comes in any case: a broken one would be the only thing a reader notices."""
        try:
            invitation_id = self._invitation_id(request, Purpose.OPEN)
            at = self.clock.now()
            if await self._commit(desk.visit(invitation_id, "opened", at=at, now=self.clock.now)) is not None:
                self.metrics.count("closedloop_collector_hits_total", kind="opened")
        except HTTPException:
            pass
        except (Busy, DBAPIError, OSError, Overloaded):
            log.warning("an open could not be recorded")
        return Response(
            PIXEL, media_type="image/gif", headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        )

    async def preview(self, request: Request) -> Response:
        return await self._preview(request, request.path_params["survey"])

    async def _preview(self, request: Request, survey_id: str) -> Response:
        """The pages of a programme as they stand in its file, for a made-up person; nothing is recorded."""
        try:
            survey = await run_in_threadpool(preview.find, self.settings, survey_id)
        except BadInput as error:
            where = ", ".join(part for part in (f"line {error.line}" if error.line else "", error.field or "") if part)
            problem = f"{error.problem} ({where})" if where else error.problem
            return pages.notice_page("A survey's file needs mending", problem, status=422)
        if survey is None:
            raise HTTPException(404)
        language = request.query_params.get("language")
        look, page = preview.look(survey, language), f"{self.base}/preview/{survey_id}"
        here = preview.link(page, language) if language else page
        if request.method == "POST":
            fields = await _fields(request)
            posted = read_answer(fields)
            read_answers(survey.questions, posted.score, posted.fields)
            return pages.thanks_page(look, score=posted.score, change=here, preview=preview.links(survey, page))
        score = read_score(request.query_params.get("score"))
        shown = preview.links(survey, page, score)
        return pages.survey_page(look, action=here, unsubscribe="", score=score, preview=shown)

    # Operation ----------------------------------------------------------------------------------------------------

    async def health(self, request: Request) -> Response:
        """200 while the ledger can be read and the writer lives."""
        try:
            await run_in_threadpool(self._read, lambda conn: conn.execute(text("SELECT 1")))
            healthy = self.commits.is_alive
        except (Busy, DBAPIError, OSError):
            healthy = False
        return _json(200 if healthy else 503, {"status": "ok" if healthy else "failing"})

    async def show_metrics(self, request: Request) -> Response:
        shown = self.metrics.text(queue_depth=self.commits.depth)
        return PlainTextResponse(shown, media_type="text/plain; version=0.0.4")

    # Shared -------------------------------------------------------------------------------------------------------

    def _invitation_id(self, request: Request, purpose: Purpose) -> str:
        try:
            return read(self.settings.link_secret, request.path_params["token"], purpose)
        except BadLink:
            raise HTTPException(404) from None

    def _path(self, letter: str, invitation_id: str, purpose: Purpose) -> str:
        return f"{self.base}/{letter}/{sign(self.settings.link_secret, invitation_id, purpose)}"

    async def _commit(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.wrap_future(self.commits.submit(work))

    def _read(self, work: Callable[[Connection], T]) -> T:
        with self.ledger.read() as conn:
            return work(conn)

    async def _refuse(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        return self._notice(request, error.status_code if error.status_code in REFUSALS else 400)

    async def _refuse_field(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, BadField)
        self.metrics.count("closedloop_collector_refused_total", status="422")
        look = _plain_look(request)
        if _wants_json(request):
            return _json(422, {"status": "invalid", "field": error.field, "problem": look.problem(error)})
        return pages.notice_page(look.say("problem.title"), look.problem(error), status=422, look=look)

    async def _unavailable(self, request: Request, error: Exception) -> Response:
        # The kind of error only: its text may hold what the person wrote.
        log.error("a request could not be committed (%s)", type(error).__name__)
        response = self._notice(request, 503)
        response.headers["Retry-After"] = "5"
        return response

    async def _fail(self, request: Request, error: Exception) -> Response:
        return self._notice(request, 500)

    def _notice(self, request: Request, status: int) -> Response:
        self.metrics.count("closedloop_collector_refused_total", status=str(status))
        look = _plain_look(request)
        if _wants_json(request):
            problem = f"{look.say(f'refused.{status}.title')}. {look.say(f'refused.{status}.words')}"
            return _json(status, {"status": "refused", "problem": problem})
        return pages.refusal_page(look, status)


async def _fields(request: Request) -> Fields:
    async with request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=MAX_BODY) as form:
        return fields_of(form)


def _plain_look(request: Request) -> pages.Look:
    """For a request of which no invitation is known: in the browser's language. The page's script sends the page's own."""
    accepted = request.headers.get("accept-language", "")
    return pages.Look(say=phrases(*(part.partition(";")[0] for part in accepted.split(","))))


def _wants_json(request: Request) -> bool:
    """The page's script asks so; forms of a browser never do."""
    return request.headers.get("accept", "").startswith("application/json")


def _json(status: int, content: dict[str, object]) -> JSONResponse:
    return JSONResponse(content, status, headers={"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
