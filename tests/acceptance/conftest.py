"""A real browser, and the parts that a respondent meets running on loopback."""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import smtplib
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from closedloop.identity import person_key
from closedloop.ledger.answers import Answer, invitation
from closedloop.ledger.history import write_round
from closedloop.programme import load_surveys
from closedloop.serving import serving
from closedloop.settings import Settings
from dispatch.mailbox import MailSink
from dispatch.mailbox.viewer import create_app as create_viewer
from dispatch.rendering import render_invitation
from ingestion.collector.app import create_app as create_collector
from orchestration.reports import sample_message

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def browser():
    """Chromium, driven by playwright; skips where there is none. Closed after each file: its event loop is this thread's."""
    if CHROMIUM is None:
        pytest.skip("Chromium is not on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Stage:
    """A collector, a mailbox with its viewer, and a ledger."""

    def __init__(self, settings: Settings, ledger, viewer_url: str, sink: MailSink) -> None:
        self.settings, self.ledger, self.viewer_url, self._sink = settings, ledger, viewer_url, sink

    def invite(self, name: str = "ada", **payload: object) -> str:
        """Seal an invitation of the post-close survey, send its mail to the sink, and give its id. Keywords change the
        payload.
        """
        now = dt.datetime.now(dt.UTC)
        survey = {one.id: one for one in load_surveys(self.settings.surveys)}["post-close"]
        invitation_id = hashlib.md5(name.encode()).hexdigest()
        message = sample_message(survey, f"{name}@customer.example") | {
            "message_id": invitation_id,
            "invitation_id": invitation_id,
            "contact_id": name,
            "person_key": person_key(f"{name}@customer.example"),
            "wave_id": f"post-close:{name}",
            "planned_at": now,
            "link_expires_at": now + dt.timedelta(days=60),
            # The columns of its decision.
            "candidate_id": invitation_id,
            "trigger_event": "deal_won",
            "trigger_record_id": name,
            "due_at": now,
            "decision": "ask",
            "deciding_rule": "passed",
            "all_failed_rules": [],
            "decided_as_of": now,
        }
        message["payload"] |= payload
        evaluation = {"as_of": now, "sealed_at": now, "definitions_hash": survey.definition_hash}
        write_round(self.ledger, evaluation=evaluation, decisions=[message], messages=[message])
        parts = render_invitation(message, settings=self.settings)
        with smtplib.SMTP(self._sink.host, self._sink.port) as client:
            client.sendmail(parts.envelope_from, parts.recipients, parts.as_bytes(date=now))
        return invitation_id

    def answer(self, invitation_id: str) -> Answer | None:
        with self.ledger.read() as conn:
            found = invitation(conn, invitation_id)
        assert found is not None
        return found.answer

    def wait_for_answer(self, invitation_id: str, judged: str, seconds: float = 10) -> Answer:
        """The answer, once the ledger holds one so judged."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = self.answer(invitation_id)
            if answer is not None and answer.judged == judged:
                return answer
            time.sleep(0.05)
        raise AssertionError(f"no {judged} answer within {seconds} s; the ledger holds {answer}")


@pytest.fixture
def stage(settings: Settings, ledger) -> Iterator[Stage]:
    collector, viewer = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    address = "http://127.0.0.1:{}".format
    settings = settings.model_copy(update={"collector_url": address(collector.getsockname()[1])})
    with (
        serving(create_collector(settings), collector),
        serving(create_viewer(settings), viewer),
        MailSink(settings.mailbox_dir, port=0) as sink,
    ):
        yield Stage(settings, ledger, address(viewer.getsockname()[1]), sink)
