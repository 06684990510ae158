"""The main job as a newcomer plays it: a fresh home, the demo at small size, one real click in one real mail, the alert, the mart."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest
from sqlalchemy import select

from closedloop.ledger import Ledger
from closedloop.ledger.schema import events
from closedloop.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.browser]


class Home:
    """A home and its ports, used through the command line only."""

    def __init__(self, folder: Path) -> None:
        self.smtp, self.collector, self.mailbox = (free_port() for _ in range(3))
        self.folder = folder
        self.environment = {
            **os.environ,
            "CLOSEDLOOP_HOME": str(folder),
            "CLOSEDLOOP_SMTP_URL": f"smtp://127.0.0.1:{self.smtp}",
            "CLOSEDLOOP_COLLECTOR_URL": f"http://127.0.0.1:{self.collector}",
        }

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "orchestration.cli", *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def serving(self, part: str, port: int) -> Iterator[None]:
        server = subprocess.Popen(
            [sys.executable, "-m", "orchestration.cli", "serve", part, "--port", str(port)],
            env=self.environment,
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for_port(port, server)
            yield
        finally:
            server.send_signal(signal.SIGTERM)
            assert server.wait(20) == 0

    def marts(self, query: str) -> list[tuple]:
        with duckdb.connect(str((self.folder / "published/marts.duckdb").resolve()), read_only=True) as con:
            return con.execute(query).fetchall()


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def wait_for_port(port: int, server: subprocess.Popen) -> None:
    for _ in range(600):
        assert server.poll() is None, "the server ended"
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1)
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not answer")


def test_invite_click_alert_mart(tmp_path: Path, browser) -> None:
    home = Home(tmp_path / "home")
    shown = json.loads(home.run("demo", "--contacts", "200", "--seed", "5", "--until", "plan", "--json"))
    assert shown["today"]["planned"] == shown["today"]["pending"] > 0
    answered_before = home.marts("select count(*) from marts.fct_responses")[0][0]

    with home.serving("mailbox", home.mailbox), home.serving("collector", home.collector):
        sent = json.loads(home.run("dispatch", "--json"))
        assert sent["sent"] == shown["today"]["planned"]

        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{home.mailbox}/")
        page.locator("ul.mails a").first.click()
        mail = page.frame_locator("iframe")
        assert mail.locator("a[href*='score=']").count() == 11
        with page.context.expect_page() as opened:
            mail.locator("a[href*='score=2']").first.click()
        survey = opened.value
        survey.wait_for_load_state()
        survey.get_by_role("textbox").fill("The invoice was wrong twice.")
        survey.get_by_role("button").last.click()
        survey.wait_for_load_state("networkidle")
        survey.get_by_text("Someone from our team will be in touch").wait_for()

        home.run("follow-up")
        page.goto(f"http://127.0.0.1:{home.mailbox}/")
        alerts = page.locator("ul.mails li", has=page.locator(".kind-alert"))
        assert alerts.count() == 1
        alerts.first.locator("a").click()
        alert = page.frame_locator("iframe")
        assert "The invoice was wrong twice." in alert.locator("body").inner_text()
        with page.context.expect_page() as opened:
            alert.get_by_role("link", name="I have contacted them").press("Enter")  # wherever it has moved meanwhile
        followed = opened.value
        followed.get_by_label("What they said").fill("They want a credit note.")
        followed.get_by_role("button", name="I have contacted them").click()
        followed.get_by_text("Saved.").wait_for()
        followed.get_by_label("Resolved", exact=True).check()
        followed.get_by_role("button", name="Log the outcome").click()
        followed.get_by_text("Closed: resolved", exact=True).first.wait_for()
        assert "They want a credit note." in followed.locator("main").inner_text()

        home.run("follow-up")  # again: nothing more to do
        page.goto(f"http://127.0.0.1:{home.mailbox}/")
        assert page.locator(".kind-alert").count() == 1
        page.context.close()

    every = json.loads(home.run("follow-up", "list", "--all", "--json"))["follow_ups"]
    ours = [one["invitation_id"] for one in every if one["comment"] == "The invoice was wrong twice."]
    home.run("build")
    response = home.marts(
        "select r.score, r.category, r.comment, f.within_sla, f.status, f.outcome "
        "from marts.fct_responses as r inner join marts.fct_followups as f using (response_id) "
        "where r.comment = 'The invoice was wrong twice.'"
    )
    assert response == [(2, "detractor", "The invoice was wrong twice.", True, "closed", "resolved")]
    assert home.marts("select count(*) from marts.fct_responses")[0][0] == answered_before + 1
    home.run("void", ours[-1], "--by", "kim", "--why", "a test of ours")
    with Ledger.open(Settings(home=home.folder, _env_file=None)) as ledger, ledger.read() as conn:
        voided = conn.execute(select(events.c.payload).where(events.c.kind == "voided")).scalar_one()
    assert json.loads(voided)["why"] == "a test of ours"
    books = json.loads(home.run("books", "--json"))
    for book in [*books["waves"], books["total"]]:
        assert book["planned"] == sum(book[k] for k in ("pending", "sent", "rejected", "suppressed", "uncertain"))
