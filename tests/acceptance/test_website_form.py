"""A visitor of the website answers, and the marts know: in a browser, at two widths, in light and dark."""

from __future__ import annotations

import datetime as dt
import socket
from pathlib import Path

import duckdb
import pytest
from axe_playwright_python.sync_playwright import Axe

from closedloop.clock import Clock
from closedloop.serving import serving
from dispatch.followup import run_follow_up
from ingestion.collector.app import create_app
from orchestration.work import build

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PROGRAMME = """
id: prospects
name: Prospects
type: relationship
status: active
company: Northwind Cloud
channels: [web_form]
"""
SCREENS = {"desktop": (1100, 800, "light"), "phone": (375, 720, "dark")}


def test_from_the_form_to_the_marts(browser, settings, ledger, tmp_path: Path) -> None:
    folder = tmp_path / "surveys"
    folder.mkdir()
    (folder / "prospects.yml").write_text(PROGRAMME)
    sock = socket.create_server(("127.0.0.1", 0))
    settings = settings.model_copy(
        update={"surveys": folder, "collector_url": f"http://127.0.0.1:{sock.getsockname()[1]}"}
    )
    with serving(create_app(settings), sock):
        for score, (width, height, scheme) in zip((2, 10), SCREENS.values(), strict=True):
            _answer(browser, settings, score, width, height, scheme)
    now = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=1)
    assert run_follow_up(ledger, settings, (), now=now).opened == 1
    build(settings, now=Clock.starting_at(now).now)
    with duckdb.connect(str(settings.marts_file), read_only=True) as conn:
        responses = conn.execute(
            "select score, channel, category, survey_id, invitation_id, contact_id in (select contact_id from marts.dim_contacts) "
            "from marts.fct_responses order by score"
        ).fetchall()
        followups = conn.execute("select score, assignment_rule, status from marts.fct_followups").fetchall()
        nps = conn.execute(
            "select responses, nps from marts.rpt_nps where survey_id = 'prospects' and period_grain = 'all' and segment = 'all'"
        ).fetchall()
        asked = conn.execute("select count(*) from marts.fct_invitations").fetchone()
    assert responses == [
        (2, "web_form", "detractor", "prospects", None, True),
        (10, "web_form", "promoter", "prospects", None, True),
    ]
    assert followups == [(2, "fallback_operator", "open")]
    assert nps == [(2, 0.0)]
    assert asked == (0,), "nobody was"


def _answer(browser, settings, score: int, width: int, height: int, scheme: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    complaints: list[str] = []
    context.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page = context.new_page()
    page.goto(f"{settings.collector_url}/f/prospects")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_role("radio", name=str(score), exact=False).first.wait_for()
    page.locator(f".score:has([value='{score}'])").click()
    page.get_by_label("Your email address (optional)").fill("not an address")
    page.get_by_label("Your email address (optional)").fill(f"visitor{score}@prospect.example")
    page.locator("#comment").fill("I came by.")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    page.wait_for_timeout(1000)
    page.get_by_role("button", name="Send answer").click()
    page.get_by_role("heading", level=1).get_by_text("Thank you").wait_for()
    assert complaints == []
    context.close()
