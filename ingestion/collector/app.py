"""The collector as a Starlette application: groups of pages over what they share, and one place for refusals.

A GET writes nothing but a raw hit. A 2xx after a POST means that the ledger's transaction is on disk.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from sqlalchemy.exc import DBAPIError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from closedloop.clock import Clock
from closedloop.errors import Busy
from closedloop.settings import Settings
from ingestion.collector import pages
from ingestion.collector.commit import Overloaded
from ingestion.collector.following import Following
from ingestion.collector.forms import BadField, BodyLimit
from ingestion.collector.limits import Buckets, RateLimit
from ingestion.collector.operation import Operation
from ingestion.collector.preview import MailOf, Previews
from ingestion.collector.secured import Secured
from ingestion.collector.shared import Shared, as_json, plain_look, wants_json
from ingestion.collector.subscription import Subscriptions
from ingestion.collector.survey import SurveyPages
from ingestion.collector.webhooks import Fetch
from ingestion.collector.webhooks.pages import Webhooks
from ingestion.collector.website import Website
from ingestion.collector.widget import Widget

log = logging.getLogger("closedloop.collector")

REFUSALS = (400, 403, 404, 405, 410, 413, 429, 500, 503)


def create_app(
    settings: Settings, *, clock: Clock | None = None, fetch: Fetch | None = None, mail_of: MailOf | None = None
) -> Starlette:
    """The application; it opens the ledger when it starts and commits what waits when it stops.

    `fetch` brings the certificates of a mail provider from the web, `mail_of` makes the mails of previews.
    """
    shared = Shared(settings, clock or settings.clock())
    refusals = _Refusals(shared)
    groups = (
        SurveyPages(shared),
        Subscriptions(shared),
        Webhooks(shared, fetch),
        Widget(shared),
        Website(shared),
        Following(shared),
        Previews(shared, mail_of),
        Operation(shared),
    )

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        await run_in_threadpool(shared.open)
        try:
            yield
        finally:
            await run_in_threadpool(shared.close)

    app = Starlette(
        routes=[route for group in groups for route in group.routes],
        middleware=[
            Middleware(
                RateLimit,
                posts=Buckets(settings.max_posts_per_minute),
                visits=Buckets(settings.max_visits_per_minute),
                refuse=partial(refusals.refuse, error=HTTPException(429)),
            ),
            Middleware(BodyLimit),
        ],
        exception_handlers={
            HTTPException: refusals.refuse,
            BadField: refusals.refuse_field,
            Exception: refusals.fail,
            **dict.fromkeys((Busy, DBAPIError, OSError, Overloaded), refusals.unavailable),
        },
        lifespan=lifespan,
    )
    # Around Starlette's own last resort too: its replies need the headers most.
    app.middleware_stack = Secured(app.build_middleware_stack(), is_https=settings.collector_url.startswith("https:"))
    return app


class _Refusals:
    """Each as a kind page, or as JSON for a script."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared

    async def refuse(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        response = self._notice(request, error.status_code if error.status_code in REFUSALS else 400)
        response.headers.update(error.headers or {})  # of a 405: what is allowed
        return response

    async def refuse_field(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, BadField)
        self._shared.metrics.count("closedloop_collector_refused_total", status="422")
        look = plain_look(request)
        if wants_json(request):
            return as_json(422, {"status": "invalid", "field": error.field, "problem": look.problem(error)})
        return pages.notice_page(look.say("problem.title"), look.problem(error), status=422, look=look)

    async def unavailable(self, request: Request, error: Exception) -> Response:
        # The kind of error only: its text may hold what the person wrote.
        log.error("a request could not be committed (%s)", type(error).__name__)
        response = self._notice(request, 503)
        response.headers["Retry-After"] = "5"
        return response

    async def fail(self, request: Request, error: Exception) -> Response:
        return self._notice(request, 500)

    def _notice(self, request: Request, status: int) -> Response:
        self._shared.metrics.count("closedloop_collector_refused_total", status=str(status))
        look = plain_look(request)
        if wants_json(request):
            problem = f"{look.say(f'refused.{status}.title')}. {look.say(f'refused.{status}.words')}"
            return as_json(status, {"status": "refused", "problem": problem})
        return pages.refusal_page(look, status)
