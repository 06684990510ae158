"""The form on a company's website: anyone may answer, a prospect above all, and nobody has to say who they are.

A GET writes nothing and gives a signed token; what is posted with it is one visit's answer, however often it is sent.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from closedloop.ledger.visitors import CHANNEL, note_visitor
from closedloop.links import BadLink, Purpose, read, sign
from closedloop.programme import Survey
from ingestion.collector import desk, pages
from ingestion.collector.desk import Heard
from ingestion.collector.forms import BadField, Fields, Posted, read_answer, read_email, read_score
from ingestion.collector.pages import WebsiteForm
from ingestion.collector.shared import Shared, posted_fields, spoken, wants_json

TRAP = "website"
"""A field that no person sees; programs fill in all there are."""
OWN = ("token", "email", TRAP)


class Website:
    """`/f/<survey>`, for programmes with `web_form` among their channels."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.routes = [
            Route("/f/{survey}", self.form, methods=["GET"]),
            Route("/f/{survey}", self.answer, methods=["POST"]),
        ]

    async def form(self, request: Request) -> Response:
        survey = await self._survey(request)
        token = sign(self._shared.settings.link_secret, f"{survey.id}/{uuid.uuid4().hex}", Purpose.FORM)
        return self._page(request, survey, WebsiteForm(token))

    async def answer(self, request: Request) -> Response:
        survey = await self._survey(request)
        fields = dict(await posted_fields(request))
        token, given, trapped = (fields.pop(name, ("",))[-1] for name in OWN)
        visit_id = self._visit_id(token, survey)
        look = self._look(request, survey)
        try:
            # No mail scanner comes here: whoever sends this form means it, with a script in the page or without.
            posted = replace(read_answer(fields), judged="human")
            email = read_email(given)
            if trapped:  # a program: it gets what it wants to see
                return pages.thanks_page(look, score=posted.score, change=request.url.path)
            at = self._shared.clock.now()
            heard = await self._shared.commit(
                _answer(visit_id, survey, posted, email, look.language, at=at, now=self._shared.clock.now)
            )
        except BadField as error:
            if wants_json(request):
                raise
            self._shared.metrics.count("closedloop_collector_refused_total", status="422")
            return self._page(request, survey, WebsiteForm(token, given), error, fields)
        assert heard is not None, "the visit was noted just before"
        if heard.answer is None:
            return pages.refusal_page(look, 410)
        self._shared.metrics.count("closedloop_collector_answers_total", judged=posted.judged)
        if heard.too_late:
            return pages.settled_page(look, heard.answer, 409)
        change = self._shared.path("s", visit_id, Purpose.SURVEY)
        return pages.thanks_page(look, score=heard.answer.score, change=change)

    async def _survey(self, request: Request) -> Survey:
        """Raises 404 for a programme without a form, 410 for one that is not active."""
        surveys = await run_in_threadpool(self._shared.programmes.all)
        survey = surveys.get(request.path_params["survey"])
        if survey is None or CHANNEL not in survey.channels or survey.status == "draft":
            raise HTTPException(404)
        if survey.status != "active":
            raise HTTPException(410)
        return survey

    def _look(self, request: Request, survey: Survey) -> pages.Look:
        """In the language that the page's address names, else the browser's."""
        tags = (survey.language, *survey.languages)
        language = spoken(request.query_params.get("language"), request, tags)
        definition = survey.model_dump(mode="json")
        return pages.Look({"company": survey.company, "language": language, "definition": definition})

    def _page(
        self,
        request: Request,
        survey: Survey,
        form: WebsiteForm,
        problem: BadField | None = None,
        fields: Fields | None = None,
    ) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        given = fields.get("score", ("",))[-1] if fields else request.query_params.get("score")
        return pages.survey_page(
            self._look(request, survey),
            action=f"{self._shared.base}/f/{survey.id}{query}",
            unsubscribe="",
            score=_score(given),
            problem=problem,
            fields=fields,
            form=form,
            status=422 if problem else 200,
        )

    def _visit_id(self, token: str, survey: Survey) -> str:
        """Of a token that this survey's form was given. Raises 404."""
        try:
            name, _, visit_id = read(self._shared.settings.link_secret, token, Purpose.FORM).rpartition("/")
        except BadLink:
            raise HTTPException(404) from None
        if name != survey.id:
            raise HTTPException(404)
        return visit_id


def _answer(
    visit_id: str,
    survey: Survey,
    posted: Posted,
    email: str,
    language: str,
    *,
    at: dt.datetime,
    now: Callable[[], dt.datetime],
) -> Callable[[Connection], Heard | None]:
    record = desk.answer(visit_id, posted, at=at, now=now)

    def work(conn: Connection) -> Heard | None:
        desk.check_answers(survey, posted)
        note_visitor(conn, visit_id, survey, email=email, language=language, at=at, now=now())
        return record(conn)

    return work


def _score(value: str | None) -> int | None:
    """What to show as chosen; a page of a website may link to it with a score."""
    try:
        return read_score(value)
    except BadField:
        return None
