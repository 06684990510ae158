"""Machines that open mails: what they do never becomes an answer that counts, and never an unsubscribe.

`python tests/support/scanner_proof.py --mails 1000` plays it in full (`make proof-scanners`), the suite a short form. Mails are
sent by the sender to a mail server, links are taken from what arrived, and machines visit them two hours later (what comes in
the first minute is out already) at a running collector. Then the models judge.
"""

from __future__ import annotations

import argparse
import datetime as dt
import email
import email.policy
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import duckdb
import httpx
from ledger_world import NOW, candidate, plan
from mail_server import MailServer
from sqlalchemy import func, select

from closedloop.clock import Clock
from closedloop.ledger import Ledger
from closedloop.ledger.schema import answers, events, suppressions
from closedloop.programme import load_surveys
from closedloop.serving import serving
from closedloop.settings import REPO, Settings
from dispatch.sender import send_due
from ingestion.collector.app import create_app

LATER = dt.timedelta(hours=2)
AGENTS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (compatible; link checker)",
    "python-requests/2.32",
)
DWELL_MS = 2600
"""The page's script posts a score by itself once it was visible for 2 seconds."""


@dataclass
class Links:
    """All addresses in one mail: of both parts, of its pictures and of its headers."""

    found: list[str] = field(default_factory=list)

    @property
    def scores(self) -> list[str]:
        return [link for link in self.found if "?score=" in link]


class _Addresses(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attributes if name in {"href", "src", "action"} and value]


def links_of(mail: bytes) -> Links:
    """What a scanner sees, read with the standard library and nothing of ours."""
    message = email.message_from_bytes(mail, policy=email.policy.default)
    found = re.findall(r"<(https?://[^>]+)>", message["List-Unsubscribe"])
    for part in message.walk():
        if part.get_content_type() == "text/html":
            found += addresses_of(part.get_content())
        elif part.get_content_type() == "text/plain":
            found += re.findall(r"https?://\S+", part.get_content())
    return Links([link for link in dict.fromkeys(found) if link.startswith("http")])


def addresses_of(html: str) -> list[str]:
    parser = _Addresses()
    parser.feed(html)
    return parser.found


def fetch_all(client: httpx.Client, links: Links) -> int:
    """HEAD and GET every link, twice, as different programs, then every link of the pages that came. Returns the requests."""
    count, further = 0, {}
    for agent in AGENTS[:2]:
        for link in links.found:
            for method in ("HEAD", "GET"):
                reply = client.request(method, link, headers={"User-Agent": agent})
                count += 1
                if method == "GET" and reply.headers["content-type"].startswith("text/html"):
                    further |= dict.fromkeys(urljoin(link, one) for one in addresses_of(reply.text))
    for link in further:
        if link.startswith(str(client.base_url)):
            client.get(link, headers={"User-Agent": AGENTS[2]})
            count += 1
    return count


def open_all(context, links: Links, *, dwell: bool) -> int:
    """Every link in a tab of its own, scripts on, no input; with `dwell` all stay open for longer than the page's two
    seconds."""
    tabs = []
    for link in links.found:
        tab = context.new_page()
        tab.goto(link)
        tab.evaluate("window.scrollTo(0, document.documentElement.scrollHeight)")
        if dwell:
            tabs.append(tab)
        else:
            tab.close()
    if tabs:
        tabs[-1].wait_for_timeout(DWELL_MS)
    for tab in tabs:
        tab.close()
    return len(links.found)


def open_one(context, links: Links) -> int:
    """Only one score link, for longer than two seconds: what no rule can tell from a person who just looks."""
    tab = context.new_page()
    tab.goto(links.scores[3])
    tab.wait_for_timeout(DWELL_MS)
    tab.close()
    return 1


@dataclass
class Found:
    """What stood after the machines were through, and after the models had judged."""

    mails: int
    requests: int
    raw_hits: int
    judged_human: int
    unsubscribes: int
    provisional: int
    """Answers that pages posted by themselves: kept, not counted."""
    counted: dict[str, int]
    """Answers that count under each judgement."""
    counted_of_single: dict[str, int]
    """The same, of those mails of which only one link was opened, for long."""


@contextmanager
def stage(home: Path) -> Iterator[tuple[Settings, Ledger, MailServer]]:
    """A ledger, a mail server that keeps what it takes, and a collector that is two hours ahead of the sender."""
    server, sock = MailServer(), socket.create_server(("127.0.0.1", 0))
    sock.listen(1024)
    settings = Settings(
        home=home,
        smtp_url=server.url,
        collector_url=f"http://127.0.0.1:{sock.getsockname()[1]}",
        wave_approval_size=1_000_000,
        _env_file=None,
    )
    settings.ensure_home()
    with Ledger.open(settings) as ledger, serving(create_app(settings, clock=Clock.starting_at(NOW + LATER)), sock):
        yield settings, ledger, server
    server.close()


def deliver(settings: Settings, ledger: Ledger, server: MailServer, count: int) -> dict[str, Links]:
    """Plan and send `count` mails; the links of each by its message."""
    programme = {one.id: one for one in load_surveys(REPO / "surveys")}["post-close"]
    programme = programme.model_copy(update={"business_hours": None})
    plan(ledger, [candidate(f"p{number}", programme=programme) for number in range(count)])
    report = send_due(ledger, settings, [programme], clock=Clock.starting_at(NOW))
    assert report.sent == count
    return {key: links_of(mail) for key, mail in server.messages.items()}


def play(
    home: Path,
    *,
    mails: int,
    browser_mails: int,
    dwelling_mails: int,
    single_mails: int,
    browser: object | None,
    say: Callable[[str], None] = print,
) -> Found:
    """Every mail is opened by the scanner without scripts; the first `browser_mails` also in Chromium, `dwelling_mails` of
    these for longer than two seconds. `single_mails` more are opened by one link only."""
    with stage(home) as (settings, ledger, server):
        inbox = deliver(settings, ledger, server, mails + single_mails)
        keys = list(inbox)
        single, scanned = keys[:single_mails], keys[single_mails:]
        assert all(len(inbox[key].scores) == 11 for key in keys)
        with httpx.Client(base_url=settings.collector_url, timeout=30) as client, ThreadPoolExecutor(4) as pool:
            requests = sum(pool.map(lambda key: fetch_all(client, inbox[key]), scanned))
        say(f"{requests:,} requests by the scanner without scripts")
        if browser is not None:
            context = browser.new_context()
            for number, key in enumerate(scanned[:browser_mails]):
                requests += open_all(context, inbox[key], dwell=number < dwelling_mails)
                if number % 100 == 99:
                    say(f"{number + 1:,} mails opened in the browser")
            requests += sum(open_one(context, inbox[key]) for key in single)
            context.close()
        with ledger.read() as conn:
            hits = conn.scalar(select(func.count()).where(events.c.kind.in_(("clicked", "viewed", "opened"))))
            judged = dict(
                conn.execute(select(answers.c.judged, func.count()).group_by(answers.c.judged)).tuples().all()
            )
            unsubscribes = conn.scalar(select(func.count()).select_from(suppressions))
        counted, counted_of_single = judge(settings, single)
        return Found(
            mails=mails,
            requests=requests,
            raw_hits=hits,
            judged_human=judged.get("human", 0),
            unsubscribes=unsubscribes,
            provisional=judged.get("provisional", 0),
            counted=counted,
            counted_of_single=counted_of_single,
        )


def judge(settings: Settings, single: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
    """Build the marts from this ledger; how many answers count under each judgement, of all others and of `single`."""
    from orchestration.work import build

    build(settings, now=Clock.starting_at(NOW + 2 * LATER).now)
    with duckdb.connect(str(settings.warehouse_file), read_only=True) as conn:
        rows = conn.execute("select judgement, invitation_id from intermediate.int_judgements").fetchall()
    found = {name: [0, 0] for name in ("strict", "standard", "lenient")}
    for judgement, invitation_id in rows:
        found[judgement][invitation_id in single] += 1
    return {name: counts[0] for name, counts in found.items()}, {name: counts[1] for name, counts in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mails", type=int, default=1000)
    parser.add_argument("--browser-mails", type=int, default=1000)
    parser.add_argument("--dwelling-mails", type=int, default=100)
    parser.add_argument("--single-mails", type=int, default=10)
    asked = parser.parse_args()
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        found = play(
            Path(folder),
            mails=asked.mails,
            browser_mails=asked.browser_mails,
            dwelling_mails=asked.dwelling_mails,
            single_mails=asked.single_mails,
            browser=browser,
            say=lambda text: print(text, flush=True),
        )
        browser.close()
    for name in found.__dataclass_fields__:
        print(f"{name.replace('_', ' '):<28}{getattr(found, name)}")
    kept = not (found.judged_human or found.unsubscribes or found.counted["strict"] or found.counted["standard"])
    print("the promise is kept" if kept else "THE PROMISE IS BROKEN")
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
