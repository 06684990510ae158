"""What all groups of pages share: settings, the ledger with its group commit, links and the forms of a reply."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse

from closedloop.clock import Clock
from closedloop.errors import BadInput
from closedloop.ledger import Ledger
from closedloop.links import BadLink, Purpose, read, sign
from closedloop.phrases import phrases
from closedloop.programme import Survey, load_surveys
from closedloop.programme.languages import lookup
from closedloop.settings import Settings
from ingestion.collector import pages
from ingestion.collector.commit import GroupCommit
from ingestion.collector.forms import MAX_BODY, MAX_FIELDS, Fields, fields_of
from ingestion.collector.metrics import Metrics

T = TypeVar("T")


def metrics_folder(settings: Settings) -> Path:
    """Where the workers of this machine keep their counters."""
    return settings.home / "collector-metrics"


class Shared:
    """One running collector."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        is_one_of_many = multiprocessing.parent_process() is not None
        self.settings, self.clock = settings, clock
        self.metrics = Metrics(metrics_folder(settings) if is_one_of_many else None)
        self.programmes = Programmes(settings.surveys)
        self.base = urlsplit(settings.collector_url).path.rstrip("/")
        self.ledger: Ledger
        self.commits: GroupCommit

    def open(self) -> None:
        """Open the ledger and start to commit."""
        self.ledger = Ledger.open(self.settings)
        self.commits = GroupCommit(self.ledger, self.metrics)
        self.commits.start()

    def close(self) -> None:
        """Commit what waits, then close the ledger."""
        self.commits.stop()
        self.ledger.close()

    async def commit(self, work: Callable[[Connection], T]) -> T:
        """The result of `work` once its transaction is on disk."""
        return await asyncio.wrap_future(self.commits.submit(work))

    def read(self, work: Callable[[Connection], T]) -> T:
        """The result of `work`, which only reads; it blocks, so pages call it in a thread."""
        with self.ledger.read() as conn:
            return work(conn)

    def invitation_id(self, request: Request, purpose: Purpose) -> str:
        """Of the token in the request's path. Raises 404 for one that we did not make for this purpose."""
        try:
            return read(self.settings.link_secret, request.path_params["token"], purpose)
        except BadLink:
            raise HTTPException(404) from None

    def path(self, letter: str, invitation_id: str, purpose: Purpose) -> str:
        """Where a page of this invitation stands on this server."""
        return f"{self.base}/{letter}/{sign(self.settings.link_secret, invitation_id, purpose)}"


class Programmes:
    """The programmes as their files stand, read anew when one has changed. The last good ones stand in for broken files."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: list[tuple[str, int]] = []
        self._surveys: dict[str, Survey] = {}

    def all(self) -> dict[str, Survey]:
        seen = [(str(file), file.stat().st_mtime_ns) for file in sorted(self._folder.glob("*.y*ml"))]
        if seen != self._seen:
            with suppress(BadInput):
                self._surveys = {survey.id: survey for survey in load_surveys(self._folder)}
            self._seen = seen
        return self._surveys


async def posted_fields(request: Request) -> Fields:
    """Raises 400 for what is no form, or is none in the charset that it names."""
    try:
        async with request.form(max_files=0, max_fields=MAX_FIELDS, max_part_size=MAX_BODY) as form:
            fields = fields_of(form)
        for name, values in fields.items():
            "".join(
                (name, *values)
            ).encode()  # some charsets of Python's leave halves of characters, which no page can show
    except ValueError:
        raise HTTPException(400) from None
    return fields


def plain_look(request: Request) -> pages.Look:
    """For a request of which no invitation is known: in the browser's language. The page's script sends the page's own."""
    accepted = request.headers.get("accept-language", "")
    return pages.Look(say=phrases(*(part.partition(";")[0] for part in accepted.split(","))))


def spoken(wanted: str | None, request: Request, known: Collection[str]) -> str | None:
    """Of the languages in `known` the one that was asked for, else the first that the browser names; None for neither."""
    accepted = request.headers.get("accept-language", "").split(",")
    named = (wanted, *(part.partition(";")[0].strip() for part in accepted))
    return next((found for one in named if (found := lookup(one, known))), None)


def wants_json(request: Request) -> bool:
    """The page's script asks so; forms of a browser never do."""
    return request.headers.get("accept", "").startswith("application/json")


def as_json(status: int, content: dict[str, object]) -> JSONResponse:
    return JSONResponse(content, status)
