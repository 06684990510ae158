"""Customers who read their mail: some answer, some only look, some never open it, and machines click everything.

They know nothing but the mail: every address that they ask for over HTTP stands in it.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.message import Message
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from random import Random
from urllib.parse import parse_qs, urlencode, urlsplit

from closedloop.clock import Clock
from closedloop.errors import ClosedLoopError
from closedloop.programme import Band, band_of
from closedloop.settings import Settings
from demo.dice import temperaments
from demo.verbatims import write_comment

Progress = Callable[[str], None]

WARMTH, SPREAD, MIDDLE = 0.8, 1.9, 8.5
"""A score is the middle, plus warmth for each step of a company's temperament, plus chance; cut to 0..10."""


@dataclass(frozen=True)
class Rates:
    """What share of customers does what; each is drawn on its own."""

    scanned: float = 0.06
    """A machine opens every link of the mail first."""
    opened: float = 0.62
    answered: float = 0.34
    commented: float = 0.6
    without_gesture: float = 0.04
    """Of those who answer: the page saw no pointer and no key, so the answer stays provisional."""
    unsubscribed: float = 0.02
    least_detractors: int = 3
    """So many at least are unhappy, though never over a third of those who answer: else no loop could be closed."""


@dataclass(frozen=True)
class AnswersReport:
    """What the customers did with the mails that were new. Times in UTC."""

    began_at: dt.datetime
    ended_at: dt.datetime
    mails: int = 0
    opened: int = 0
    answered: int = 0
    provisional: int = 0
    commented: int = 0
    detractors: int = 0
    passives: int = 0
    promoters: int = 0
    unsubscribed: int = 0
    scanned: int = 0
    refused: int = 0
    """Requests that the collector answered with an error."""


@dataclass
class SurveyMail:
    """What a customer sees of a survey mail."""

    path: Path
    message_id: str
    survey_id: str
    domain: str
    score_links: dict[int, str]
    links: list[str]
    """Every link, those that no person sees too."""
    pictures: list[str]
    unsubscribe: str


@dataclass(frozen=True)
class Visit:
    """What one customer will do."""

    mail: SurveyMail
    scanned: bool
    opened: bool
    unsubscribes: bool
    score: int | None = None
    comment: str = ""
    gesture: bool = True
    visible_ms: int = 0


def answer_mails(
    settings: Settings,
    *,
    seed: int,
    clock: Clock,
    rates: Rates | None = None,
    workers: int = 8,
    progress: Progress | None = None,
) -> AnswersReport:
    """Play the customers for every survey mail in the Maildir that is still new; it is moved to `cur` when done.

    What a customer does depends on (seed, message) alone. Mails to staff stay new. Raises ClosedLoopError when the
    collector cannot be reached; the mails not yet done are then still new.
    """
    rates = rates or Rates()
    began = clock.now()
    visits = plan_visits(read_mails(settings.mailbox_dir), seed=seed, rates=rates)
    browsers = threading.local()
    refused = 0

    def play(visit: Visit) -> int:
        if not hasattr(browsers, "browser"):
            browsers.browser = Browser()
        errors = act(visit, browsers.browser)
        _mark_done(visit.mail.path)
        return errors

    with ThreadPoolExecutor(workers, thread_name_prefix="customer") as pool:
        try:
            for number, errors in enumerate(pool.map(play, visits), 1):
                refused += errors
                if progress and (number % 50 == 0 or number == len(visits)):
                    progress(f"{number:,} of {len(visits):,} customers have looked at their mail")
        except (OSError, HTTPException) as error:
            pool.shutdown(cancel_futures=True)
            raise ClosedLoopError(
                f"the collector does not answer at {settings.collector_url} ({type(error).__name__})\n"
                "  what to do: start it with `closedloop serve collector`, then run this step again"
            ) from error

    answers = [visit for visit in visits if visit.score is not None]
    bands = [band_of(visit.score) for visit in answers if visit.score is not None]
    return AnswersReport(
        began_at=began,
        ended_at=clock.now(),
        mails=len(visits),
        opened=sum(visit.opened for visit in visits),
        answered=len(answers),
        provisional=sum(not visit.gesture for visit in answers),
        commented=sum(bool(visit.comment) for visit in answers),
        detractors=bands.count(Band.DETRACTOR),
        passives=bands.count(Band.PASSIVE),
        promoters=bands.count(Band.PROMOTER),
        unsubscribed=sum(visit.unsubscribes for visit in visits),
        scanned=sum(visit.scanned for visit in visits),
        refused=refused,
    )


# Reading the mail ----------------------------------------------------------------------
def read_mails(maildir: Path) -> list[SurveyMail]:
    """The new survey mails, by message id; other mail is not the customers' concern."""
    folder = maildir / "new"
    names = sorted(os.listdir(folder)) if folder.is_dir() else []
    mails = (_survey_mail(folder / name) for name in names)
    return sorted((mail for mail in mails if mail), key=lambda mail: mail.message_id)


def _survey_mail(path: Path) -> SurveyMail | None:
    message = message_from_bytes(path.read_bytes())
    unsubscribe = re.search(r"<(https?://[^>]+)>", str(message.get("List-Unsubscribe", "")))
    if not unsubscribe:
        return None
    reader = _Reader()
    reader.feed(_html(message))
    if not reader.score_links:
        return None
    list_id = re.search(r"<([^.>]+)\.", str(message.get("List-Id", "")))
    return SurveyMail(
        path=path,
        message_id=str(message.get("Message-ID", path.name)).strip(),
        survey_id=list_id.group(1) if list_id else "",
        domain=str(message.get("X-Envelope-To") or message.get("To", "")).rpartition("@")[2].strip(" >").lower(),
        score_links=reader.score_links,
        links=reader.links,
        pictures=reader.pictures,
        unsubscribe=unsubscribe.group(1),
    )


def _html(message: Message) -> str:
    for part in message.walk():
        if part.get_content_type() == "text/html":
            body = part.get_payload(decode=True)
            return body.decode(part.get_content_charset("utf-8"), "replace") if isinstance(body, bytes) else ""
    return ""


class _Reader(HTMLParser):
    """Links and pictures of a mail; score links only where a person can see them."""

    def __init__(self) -> None:
        super().__init__()
        self.score_links: dict[int, str] = {}
        self.links: list[str] = []
        self.pictures: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "img" and given.get("src", "").startswith("http"):
            self.pictures.append(given["src"])
        if tag != "a" or not given.get("href", "").startswith("http"):
            return
        self.links.append(given["href"])
        hidden = given.get("aria-hidden") == "true" or "display:none" in given.get("style", "").replace(" ", "")
        score = parse_qs(urlsplit(given["href"]).query).get("score", [""])[0]
        if score.isdecimal() and not hidden:
            self.score_links[int(score)] = given["href"]


# Deciding what to do ---------------------------------------------------------------------
def plan_visits(mails: list[SurveyMail], *, seed: int, rates: Rates) -> list[Visit]:
    """What each customer does, by (seed, message) alone; only the least number of unhappy ones looks at all."""
    warmth = temperaments(seed, [mail.domain for mail in mails])
    visits = [
        _plan(mail, warm, Random(f"{seed}|{mail.message_id}"), rates) for mail, warm in zip(mails, warmth, strict=True)
    ]
    answered = [number for number, visit in enumerate(visits) if visit.score is not None and visit.gesture]
    unhappy = sum(band_of(visits[number].score or 0) is Band.DETRACTOR for number in answered)
    wanted = min(rates.least_detractors, len(answered) // 3)
    if unhappy < wanted:
        cold = sorted(
            (number for number in answered if (visits[number].score or 0) > 6), key=lambda number: warmth[number]
        )
        for number, score in zip(cold[: wanted - unhappy], (3, 5, 6, 2, 4) * 20, strict=False):
            chance = Random(f"{seed}|{mails[number].message_id}|unhappy")
            comment = write_comment(mails[number].survey_id, Band.DETRACTOR, chance)
            visits[number] = replace(visits[number], score=score, comment=comment)
    return visits


def _plan(mail: SurveyMail, warm: float, chance: Random, rates: Rates) -> Visit:
    scanned, unsubscribes = chance.random() < rates.scanned, chance.random() < rates.unsubscribed
    draw = chance.random()
    answers, opened = draw < rates.answered, draw < rates.opened
    score = min(max(round(MIDDLE + WARMTH * warm + chance.gauss(0, SPREAD)), 0), 10)
    comments = chance.random() < rates.commented
    visit = Visit(mail, scanned, opened, unsubscribes and not answers)
    if not answers:
        return visit
    comment = write_comment(mail.survey_id, band_of(score), chance) if comments else ""
    seconds = chance.uniform(4, 15) + len(comment) * 0.2
    gesture = bool(comment) or chance.random() >= rates.without_gesture / (1 - rates.commented)
    return replace(visit, score=score, comment=comment, gesture=gesture, visible_ms=int(seconds * 1000))


# Doing it ----------------------------------------------------------------------------------
def act(visit: Visit, browser: Browser) -> int:
    """Do it over HTTP; returns how many requests were answered with an error."""
    mail, statuses = visit.mail, []
    if visit.scanned:
        statuses += [browser.get(link) for link in mail.links]
    if visit.opened:
        statuses += [browser.get(picture) for picture in mail.pictures]
    if visit.unsubscribes:
        statuses.append(browser.post(mail.unsubscribe, {"List-Unsubscribe": "One-Click"}))
    if visit.score is not None:
        link = mail.score_links[visit.score]
        statuses.append(browser.get(link))
        form = {"score": str(visit.score), "comment": visit.comment, "visible_ms": str(visit.visible_ms)}
        statuses.append(browser.post(link.partition("?")[0], form | ({"input": "human"} if visit.gesture else {})))
    return sum(status >= 400 for status in statuses)


@dataclass
class Browser:
    """HTTP with connections kept open; one for each thread."""

    timeout: float = 30
    _open: dict[tuple[str, str], HTTPConnection] = field(default_factory=dict)

    def get(self, url: str) -> int:
        return self._ask("GET", url, None)

    def post(self, url: str, form: dict[str, str]) -> int:
        return self._ask("POST", url, urlencode(form).encode())

    def _ask(self, method: str, url: str, body: bytes | None) -> int:
        parts = urlsplit(url)
        place = (parts.scheme, parts.netloc)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        for attempt in (1, 2):
            connection = self._open.get(place)
            kept = connection is not None
            if connection is None:
                kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
                connection = self._open[place] = kind(parts.netloc, timeout=self.timeout)
            try:
                connection.request(method, target, body, headers)
                response = connection.getresponse()
                response.read()
                return response.status
            except (ConnectionError, HTTPException):
                self._open.pop(place).close()
                # Only an idle connection that the server had closed is worth a second try.
                if not kept or attempt == 2:
                    raise
        raise AssertionError("unreachable")


def _mark_done(path: Path) -> None:
    """Seen, as Maildir says it: out of `new`, into `cur`. The name stays, for it is how the mailbox page knows it."""
    done = path.parent.parent / "cur"
    done.mkdir(exist_ok=True)
    os.replace(path, done / path.name)
