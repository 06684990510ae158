"""For those who run it: health, metrics, and what machines should leave alone."""

from __future__ import annotations

from pathlib import Path

import yaml
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from closedloop.errors import Busy
from ingestion.collector.shared import Shared, as_json

DESCRIPTION = yaml.safe_load((Path(__file__).parent / "assets" / "openapi.yml").read_text(encoding="utf-8"))


class Operation:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.routes = [
            Route("/healthz", self.health, methods=["GET"]),
            Route("/metrics", self.show_metrics, methods=["GET"]),
            Route("/openapi.json", lambda request: as_json(200, DESCRIPTION)),
            Route("/robots.txt", lambda request: PlainTextResponse("User-agent: *\nDisallow: /\n")),
        ]

    async def health(self, request: Request) -> Response:
        """200 while the ledger can be read, and its writer lives and was not refused just now."""
        try:
            await run_in_threadpool(self._shared.read, lambda conn: conn.execute(text("SELECT 1")))
            healthy = self._shared.commits.is_alive and not self._shared.commits.is_failing
        except (Busy, DBAPIError, OSError):
            healthy = False
        return as_json(200 if healthy else 503, {"status": "ok" if healthy else "failing"})

    async def show_metrics(self, request: Request) -> Response:
        shown = self._shared.metrics.text(queue_depth=self._shared.commits.depth)
        return PlainTextResponse(shown, media_type="text/plain; version=0.0.4")
