"""The pages of those who follow up: one for each follow-up, one with all of a colleague's. A GET writes nothing."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from closedloop.clock import parse_time
from closedloop.errors import BadInput
from closedloop.identity import normalise_address
from closedloop.ledger import followups
from closedloop.ledger.actions import read_actions
from closedloop.ledger.teams import absent
from closedloop.links import BadLink, Purpose, read, worklist_key
from ingestion.collector import following_pages as pages
from ingestion.collector.following_pages import Posted
from ingestion.collector.forms import clean, is_address
from ingestion.collector.shared import Shared, posted_fields

MAX_NAME, MAX_NOTE = 100, 4_000
RECENT = dt.timedelta(days=30)
"""Closed follow-ups stay on the list for so long."""
_SEQ = re.compile(r"[0-9]{1,15}")


class Following:
    """`/w/<token>` and `/w/list/<token>`: who has the link may act, so it is sent to colleagues only."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.routes = [
            Route("/w/list/{token}", self.worklist, methods=["GET"]),
            Route("/w/{token}", self.show, methods=["GET"]),
            Route("/w/{token}", self.move, methods=["POST"]),
        ]

    async def worklist(self, request: Request) -> Response:
        key = self._shared.invitation_id(request, Purpose.WORKLIST)
        now = self._shared.clock.now()

        def look(conn: Connection) -> list[dict[str, Any]] | None:
            email = next((one for one in followups.assignees(conn) if worklist_key(one) == key), None)
            if email is None:
                return None
            rows = followups.read_followups(conn, include_closed=True, assignee_email=email)
            return [row for row in rows if row["closed_at"] is None or row["closed_at"] > now - RECENT]

        rows = await run_in_threadpool(self._shared.read, look)
        back = f"?list={request.path_params['token']}"
        shown = [pages.listed(row, now, self._path(row["invitation_id"]) + back) for row in rows or ()]
        return pages.worklist_page(shown)

    async def show(self, request: Request) -> Response:
        return await self._page(request, saved="saved" in request.query_params)

    async def move(self, request: Request) -> Response:
        invitation_id = self._shared.invitation_id(request, Purpose.FOLLOW_UP)
        posted = {name: clean(values[-1]) for name, values in (await posted_fields(request)).items()}
        try:
            await self._shared.commit(_move(invitation_id, posted, self._shared.clock.now()))
        except BadInput as error:
            self._shared.metrics.count("closedloop_collector_refused_total", status="409")
            return await self._page(request, problem=pages.problem_of(error), posted=posted)
        self._shared.metrics.count("closedloop_collector_follow_ups_total", did=posted["do"])
        came_from = self._list_of(request)
        return RedirectResponse(f"{self._path(invitation_id)}?{f'list={came_from}&' if came_from else ''}saved", 303)

    async def _page(
        self, request: Request, *, saved: bool = False, problem: str = "", posted: Posted | None = None
    ) -> Response:
        invitation_id, came_from = self._shared.invitation_id(request, Purpose.FOLLOW_UP), self._list_of(request)
        now = self._shared.clock.now()

        def look(conn: Connection) -> pages.Followed | None:
            row = followups.read_followup(conn, invitation_id)
            if row is None:
                return None
            alert = followups.newest_alert(conn, invitation_id)
            colleagues = colleagues_of(row)
            return pages.Followed(
                row,
                alert["payload"] if alert else {},
                followups.course_of(conn, invitation_id),
                read_actions(conn, invitation_id),
                colleagues,
                absent(conn, colleagues, now=now),
            )

        found = await run_in_threadpool(self._shared.read, look)
        if found is None:
            raise HTTPException(404)
        return pages.followup_page(
            found,
            action=self._path(invitation_id) + (f"?list={came_from}" if came_from else ""),
            worklist=f"{self._shared.base}/w/list/{came_from}" if came_from else "",
            now=now,
            saved=saved,
            problem=problem,
            posted=posted or {},
        )

    def _path(self, invitation_id: str) -> str:
        return self._shared.path("w", invitation_id, Purpose.FOLLOW_UP)

    def _list_of(self, request: Request) -> str:
        """The token of the list that somebody comes from, or ''. The page of one follow-up must not make one: who got the link
        to it from a colleague, or has handed it over, would see all else that the other one has."""
        token = request.query_params.get("list", "")
        try:
            read(self._shared.settings.link_secret, token, Purpose.WORKLIST)
        except BadLink:
            return ""
        return token


def colleagues_of(row: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """To whom a follow-up may be handed over, by address: the people whom the invitation and its survey name. Nobody else, so
    that who has the link cannot have us write to anyone; and nobody whom the alert could not reach."""
    payload = row["payload"]
    team = ((payload.get("definition") or {}).get("follow_up") or {}).get("team") or []
    named = [
        *(
            {name: payload.get(f"{role}_{name}") for name in ("id", "name", "email")}
            for role in ("owner", "csm", "manager")
        ),
        *team,
    ]
    has_it = normalise_address(row["assignee_email"] or "")
    return {
        one["email"]: one for one in named if is_address(one.get("email")) and normalise_address(one["email"]) != has_it
    }


def _move(invitation_id: str, posted: Posted, now: dt.datetime) -> Callable[[Connection], None]:
    """What a form asks for, as work for a transaction. It raises BadInput before anything is written."""
    by, note = posted.get("by", ""), posted.get("note", "")
    if len(by) > MAX_NAME or len(note) > MAX_NOTE:
        raise BadInput(f"at most {MAX_NAME} characters for the name, {MAX_NOTE:,} for the note", field="note")
    about: dict[str, Any] = {"by": by, "now": now}

    def work(conn: Connection) -> None:
        if _is_there_already(conn, invitation_id, posted, now):
            return
        match posted.get("do"):
            case "contacted":
                followups.first_contact(conn, invitation_id, at=_when(posted, now), note=note, **about)
            case "step":
                followups.take_step(conn, invitation_id, posted.get("step", ""), at=now, note=note, **about)
            case "outcome":
                followups.log_outcome(conn, invitation_id, posted.get("outcome", ""), at=now, note=note, **about)
            case "note":
                followups.add_note(conn, invitation_id, note, **about)
            case "reopen":
                followups.reopen(conn, invitation_id, at=now, why=note, **about)
            case "hand_over":
                _hand_over(conn, invitation_id, posted.get("to", ""), about)
            case _:
                raise BadInput("this page has no such button", field="do")

    return work


RECORDED_AS = {
    "contacted": "first_contact",
    "step": "followup_step",
    "outcome": "outcome",
    "note": "followup_note",
    "reopen": "followup_reopened",
    "hand_over": "followup_assigned",
}


def _is_there_already(conn: Connection, invitation_id: str, posted: Posted, now: dt.datetime) -> bool:
    """Whether the same form was sent twice: a second press of the button says nothing new, and must hear that all is well.

    Raises BadInput where the page was out of date: who pressed a button saw another state than the one it would change. A note
    changes none.
    """
    if not _SEQ.fullmatch(seen := posted.get("seen", "")):
        return False
    row = followups.held(conn, invitation_id)
    since = [one for one in followups.course_of(conn, invitation_id) if one["seq"] > int(seen)]
    if any(_is_same(one, posted, row, now) for one in since):
        return True
    if posted.get("do") != "note" and any(one["kind"] in followups.MOVED for one in since):
        raise BadInput("somebody has moved this on since you opened the page", field="seen")
    return False


def _is_same(one: Mapping[str, Any], posted: Posted, row: Mapping[str, Any], now: dt.datetime) -> bool:
    said, do = one["payload"], posted.get("do", "")
    if one["kind"] != RECORDED_AS.get(do) or said.get("by") != posted.get("by"):
        return False
    if do == "hand_over":  # the event names no address
        return bool(row["assignee_email"] == posted.get("to"))
    if posted.get("at") and one["occurred_at"] != _when(posted, now):
        return False
    chosen = do not in ("step", "outcome") or said.get(do) == posted.get(do)
    return chosen and said.get("note", said.get("why", "")) == posted.get("note", "")


def _hand_over(conn: Connection, invitation_id: str, to: str, about: Mapping[str, Any]) -> None:
    row = followups.read_followup(conn, invitation_id)
    colleague = colleagues_of(row).get(to) if row else None
    if colleague is None:
        raise BadInput("choose one of the colleagues", field="to")
    followups.reassign(
        conn,
        invitation_id,
        name=colleague.get("name") or "",
        email=to,
        person_id=colleague.get("id"),
        **about,
    )


def _when(posted: Posted, now: dt.datetime) -> dt.datetime:
    """The time of a contact, UTC; now where none was given."""
    text = posted.get("at", "").strip()
    try:
        return parse_time(text) if text else now
    except (BadInput, ValueError):
        raise BadInput("the time cannot be read", field="at") from None
