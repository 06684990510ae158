"""What a person wants to get: the unsubscribe page and the one-click address of RFC 8058."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from closedloop.links import Purpose
from ingestion.collector import desk, pages
from ingestion.collector.shared import Shared


class Subscriptions:
    """Nothing happens before a button is pressed or a mail program posts."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.routes = [
            Route("/u/{token}", self.subscription, methods=["GET"]),
            Route("/u/{token}", self.unsubscribe, methods=["POST"]),
        ]

    async def subscription(self, request: Request) -> Response:
        invitation_id = self._shared.invitation_id(request, Purpose.UNSUBSCRIBE)
        found = await run_in_threadpool(self._shared.read, lambda conn: desk.subscription(conn, invitation_id))
        if found is None:
            raise HTTPException(404)
        invitation, is_unsubscribed = found
        look = pages.Look(invitation.payload)
        if is_unsubscribed:
            return self._unsubscribed(look, is_new=False)
        return pages.unsubscribe_page(look, action=self._shared.path("u", invitation_id, Purpose.UNSUBSCRIBE))

    async def unsubscribe(self, request: Request) -> Response:
        """One-click (RFC 8058) and the page's button alike: the address in the link is all that counts."""
        invitation_id = self._shared.invitation_id(request, Purpose.UNSUBSCRIBE)
        at = self._shared.clock.now()
        done = await self._shared.commit(desk.unsubscribe(invitation_id, at=at, now=self._shared.clock.now))
        if done is None:
            raise HTTPException(404)
        self._shared.metrics.count("closedloop_collector_unsubscribes_total")
        invitation, is_new = done
        return self._unsubscribed(pages.Look(invitation.payload), is_new=is_new)

    def _unsubscribed(self, look: pages.Look, *, is_new: bool) -> Response:
        title = look.say("unsubscribe.done" if is_new else "unsubscribe.done_before")
        return pages.notice_page(title, look.say("unsubscribe.after", company=look.company), look=look)
