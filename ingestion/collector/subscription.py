"""What a person wants to get: the unsubscribe page, the one-click address of RFC 8058, and the page of preferences."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from closedloop.ledger.answers import Invitation
from closedloop.ledger.visitors import CHANNEL
from closedloop.ledger.wishes import OWN, Wishes
from closedloop.links import Purpose
from closedloop.programme import Survey
from ingestion.collector import desk, pages, preview
from ingestion.collector.forms import read_choice
from ingestion.collector.shared import Shared, posted_fields


class Subscriptions:
    """Nothing happens before a button is pressed or a mail program posts."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.routes = [
            Route("/u/{token}", self.subscription, methods=["GET"]),
            Route("/u/{token}", self.unsubscribe, methods=["POST"]),
            Route("/p/{token}", self.preferences, methods=["GET"]),
            Route("/p/{token}", self.choose, methods=["POST"]),
        ]

    async def subscription(self, request: Request) -> Response:
        invitation, wishes = await self._wishes(request, Purpose.UNSUBSCRIBE)
        look = pages.Look(invitation.payload)
        if wishes.suppressed_for == OWN:
            return self._unsubscribed(look, invitation, is_new=False)
        return pages.unsubscribe_page(
            look,
            action=self._shared.path("u", invitation.invitation_id, Purpose.UNSUBSCRIBE),
            preferences=self._shared.path("p", invitation.invitation_id, Purpose.PREFERENCES),
        )

    async def unsubscribe(self, request: Request) -> Response:
        """One-click (RFC 8058) and the page's button alike: the address in the link is all that counts."""
        invitation_id = self._shared.invitation_id(request, Purpose.UNSUBSCRIBE)
        if sample := await preview.sample_invitation(self._shared, invitation_id):
            return self._nothing_done(sample)
        at = self._shared.clock.now()
        done = await self._shared.commit(desk.unsubscribe(invitation_id, at=at, now=self._shared.clock.now))
        if done is None:
            raise HTTPException(404)
        self._shared.metrics.count("closedloop_collector_unsubscribes_total")
        invitation, is_new = done
        return self._unsubscribed(pages.Look(invitation.payload), invitation, is_new=is_new)

    async def preferences(self, request: Request) -> Response:
        invitation, wishes = await self._wishes(request, Purpose.PREFERENCES)
        return await self._page(invitation, wishes, is_saved=False)

    async def choose(self, request: Request) -> Response:
        """What is on the page is chosen anew; surveys that it did not show stay as they were."""
        invitation_id = self._shared.invitation_id(request, Purpose.PREFERENCES)
        if sample := await preview.sample_invitation(self._shared, invitation_id):
            return self._nothing_done(sample)
        at, chosen = self._shared.clock.now(), read_choice(await posted_fields(request))
        surveys = {survey.id for survey in await run_in_threadpool(self._active)}
        done = await self._shared.commit(desk.choose(invitation_id, chosen, surveys, at=at, now=self._shared.clock.now))
        if done is None:
            raise HTTPException(404)
        self._shared.metrics.count("closedloop_collector_preferences_total")
        invitation, wishes, is_saved = done
        return await self._page(invitation, wishes, is_saved=is_saved)

    async def _wishes(self, request: Request, purpose: Purpose) -> tuple[Invitation, Wishes]:
        invitation_id = self._shared.invitation_id(request, purpose)
        if sample := await preview.sample_invitation(self._shared, invitation_id):
            return sample, Wishes()
        found = await run_in_threadpool(self._shared.read, lambda conn: desk.wishes(conn, invitation_id))
        if found is None:
            raise HTTPException(404)
        return found

    async def _page(self, invitation: Invitation, wishes: Wishes, *, is_saved: bool) -> Response:
        return pages.preferences_page(
            pages.Look(invitation.payload),
            action=self._shared.path("p", invitation.invitation_id, Purpose.PREFERENCES),
            surveys=await run_in_threadpool(self._active),
            wishes=wishes,
            is_saved=is_saved,
        )

    def _active(self) -> list[Survey]:
        """What one may get at all."""
        active = (survey for survey in self._shared.programmes.all().values() if survey.status == "active")
        found = (survey for survey in active if set(survey.channels) != {CHANNEL})
        return sorted(found, key=lambda survey: survey.name)

    def _nothing_done(self, sample: Invitation) -> Response:
        """The link of a sample mail was used."""
        look = pages.Look(sample.payload)
        return pages.notice_page(look.say("thanks.title"), look.say("survey.preview"), look=look)

    def _unsubscribed(self, look: pages.Look, invitation: Invitation, *, is_new: bool) -> Response:
        title = look.say("unsubscribe.done" if is_new else "unsubscribe.done_before")
        onward = (
            self._shared.path("p", invitation.invitation_id, Purpose.PREFERENCES),
            look.say("preferences.again"),
        )
        words = look.say("unsubscribe.after", company=look.company)
        return pages.notice_page(title, words, look=look, onward=onward)
