"""Where providers post: a 2xx means that the reports are on disk, and each counts once however often it is posted."""

from __future__ import annotations

import datetime as dt
import logging
import urllib.request
from collections.abc import Callable

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from closedloop.ledger.reports import Report, record_report
from closedloop.settings import Settings
from ingestion.collector.shared import Shared, as_json
from ingestion.collector.webhooks import Fetch, NotAuthentic, Provider, Unreadable
from ingestion.collector.webhooks.postmark import Postmark
from ingestion.collector.webhooks.sendgrid import SendGrid
from ingestion.collector.webhooks.ses import Ses

log = logging.getLogger("closedloop.collector")

CHUNK = 100
"""So many reports share a place in the group commit: answers of people never wait long behind a large batch."""
_LARGEST_DOCUMENT, _TIMEOUT_SECONDS = 64 * 1024, 10


class Webhooks:
    """`/webhooks/<provider>` of each provider that the settings name; all others are not there."""

    def __init__(self, shared: Shared, fetch: Fetch | None = None) -> None:
        self._shared = shared
        self._providers = providers_of(shared.settings, fetch or fetch_document)
        self.routes = [Route("/webhooks/{provider}", self.take, methods=["POST"])]

    async def take(self, request: Request) -> Response:
        provider = self._providers.get(request.path_params["provider"])
        if provider is None:
            raise HTTPException(404)
        body = await request.body()
        try:
            await run_in_threadpool(provider.authenticate, request.headers, body)
            reports = await run_in_threadpool(provider.reports, body)
        except NotAuthentic:
            self._shared.metrics.count("closedloop_collector_refused_total", status="403")
            log.warning("a request to the webhook of %s was not authentic", provider.name)
            return as_json(403, {"status": "refused"})
        except (Unreadable, RecursionError):  # nested deeper than any report
            self._shared.metrics.count("closedloop_collector_refused_total", status="422")
            log.warning("a request of %s could not be read", provider.name)
            return as_json(422, {"status": "unreadable"})
        new = 0
        for start in range(0, len(reports), CHUNK):
            some = reports[start : start + CHUNK]
            new += await self._shared.commit(_record(some, self._shared.clock.now))
        for report in reports:
            self._shared.metrics.count("closedloop_collector_reports_total", provider=provider.name, kind=report.kind)
        return as_json(200, {"status": "recorded", "reports": len(reports), "new": new})


def _record(reports: list[Report], now: Callable[[], dt.datetime]) -> Callable[[Connection], int]:
    return lambda conn: sum(record_report(conn, report, now=now()) for report in reports)


def providers_of(settings: Settings, fetch: Fetch) -> dict[str, Provider]:
    """The providers that the settings name. Raises BadInput for a key that is none."""
    found: list[Provider] = []
    if settings.ses_topic_arn:
        found.append(Ses(settings.ses_topic_arn, fetch))
    if settings.postmark_credentials:
        found.append(Postmark(settings.postmark_credentials))
    if settings.sendgrid_public_key:
        found.append(SendGrid(settings.sendgrid_public_key))
    return {provider.name: provider for provider in found}


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: object, **kwargs: object) -> None:
        return None


def fetch_document(url: str) -> bytes:
    """What stands at an https address: small, soon, and there, not where it redirects to. Raises OSError."""
    with urllib.request.build_opener(_NoRedirects).open(url, timeout=_TIMEOUT_SECONDS) as reply:
        return reply.read(_LARGEST_DOCUMENT)
