"""The widget and the card as a visitor meets them: on another company's page, by hand, by keyboard, on a phone."""

from __future__ import annotations

import datetime as dt
import hashlib
import socket
from collections.abc import Iterator

import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from sqlalchemy import select
from starlette.applications import Starlette
from starlette.responses import HTMLResponse
from starlette.routing import Route

from closedloop.contexts import make_context
from closedloop.identity import person_key
from closedloop.ledger.history import write_round
from closedloop.ledger.schema import answers, events
from closedloop.programme import load_surveys
from closedloop.serving import serving
from ingestion.collector.app import create_app
from orchestration.reports import sample_message

pytestmark = pytest.mark.browser
SECRET = "a long random text"
PAGE = """<!doctype html><html lang="en"><title>App</title><meta name="viewport" content="width=device-width, initial-scale=1">
<style>* {{ color: red !important; font-size: 40px !important; }} main {{ min-height: 120vh }}</style>
<main><h1>The application</h1><div id="place"></div></main>
<script async src="{collector}/widget.js" data-context="{context}" {more}></script></html>"""
CARD = 'data-mode="card" data-target="#place"'


@pytest.fixture
def app(settings, ledger, tmp_path) -> Iterator[dict]:
    """A company's application on one origin, the collector on another."""
    folder = tmp_path / "surveys"
    folder.mkdir()
    text = yaml.safe_load((settings.surveys / "post-close.yml").read_text())
    text["channels"] = ["in_app", "portal"]
    text.pop("reminders", None)
    (folder / "post-close.yml").write_text(yaml.safe_dump(text))
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    collector, host = (f"http://127.0.0.1:{one.getsockname()[1]}" for one in sockets)
    settings = settings.model_copy(
        update={"surveys": folder, "collector_url": collector, "widget_secret": SECRET, "widget_origins": [host]}
    )

    def page(request):
        expires = dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)
        context = make_context(SECRET, "ada", expires=expires)
        more = CARD if "card" in request.query_params else ""
        return HTMLResponse(PAGE.format(collector=collector, context=context, more=more))

    with serving(create_app(settings), sockets[0]), serving(Starlette(routes=[Route("/", page)]), sockets[1]):
        yield {"host": host, "collector": collector, "settings": settings}


@pytest.fixture
def invited(app, ledger) -> str:
    """An invitation that is to be shown, and not sent."""
    now = dt.datetime.now(dt.UTC)
    [survey] = load_surveys(app["settings"].surveys)
    key = hashlib.md5(b"ada").hexdigest()
    message = sample_message(survey, "ada@customer.example") | {
        **dict.fromkeys(("message_id", "invitation_id", "candidate_id"), key),
        "contact_id": "ada",
        "person_key": person_key("ada@customer.example"),
        "wave_id": "post-close:ada",
        "channel": "in_app",
        "planned_at": now,
        "link_expires_at": now + dt.timedelta(days=60),
        "trigger_event": "deal_won",
        "trigger_record_id": "ada",
        "due_at": now,
        "decision": "ask",
        "deciding_rule": "passed",
        "all_failed_rules": [],
        "decided_as_of": now,
    }
    evaluation = {"as_of": now, "sealed_at": now, "definitions_hash": survey.definition_hash}
    write_round(ledger, evaluation=evaluation, decisions=[message], messages=[message])
    return key


def _kinds(ledger) -> list[str]:
    with ledger.read() as conn:
        return list(conn.scalars(select(events.c.kind).order_by(events.c.seq)))


def _scores(ledger) -> list[tuple]:
    with ledger.read() as conn:
        return conn.execute(select(answers.c.score, answers.c.judged, answers.c.channel, answers.c.comment)).all()


def _fits(page) -> bool:
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def _violations(page, within: str | None = "body > div, #place") -> list[str]:
    found = Axe().run(page, context=within, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]})
    return [f"{one['id']}: {one['nodes'][0]['html'][:100]}" for one in found.response["violations"]]


@pytest.mark.parametrize("width", [1280, 375, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_visitor_answers_in_place(browser, app, invited, ledger, width, scheme):
    page = browser.new_page(viewport={"width": width, "height": 760}, color_scheme=scheme, reduced_motion="reduce")
    page.goto(app["host"])
    panel = page.get_by_role("dialog")
    panel.wait_for()
    assert _fits(page)
    boxes = [one.bounding_box() for one in panel.locator("label.s").all()]
    assert len(boxes) == 11 and min(box["height"] for box in boxes) >= 44
    panel.locator("label.s", has_text="3").first.click()
    panel.get_by_role("textbox").fill("Too slow <b>really</b>")
    assert _violations(page) == []
    panel.get_by_role("button", name="Send").click()
    panel.get_by_role("heading").wait_for()
    page.wait_for_function("!document.querySelector('body > div').shadowRoot.querySelector('form')")
    assert _scores(ledger) == [(3, "human", "in_app", "Too slow <b>really</b>")]
    page.reload()
    page.wait_for_load_state("networkidle")
    assert page.get_by_role("dialog").count() == 0
    page.close()


def test_by_keyboard_alone(browser, app, invited, ledger):
    page = browser.new_page()
    page.goto(app["host"])
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Tab")  # close
    page.keyboard.press("Tab")  # scores
    page.keyboard.press("Space")
    for _ in range(9):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Tab")
    page.keyboard.type("Good people")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_function("!document.querySelector('body > div').shadowRoot.querySelector('form')")
    assert _scores(ledger) == [(9, "human", "in_app", "Good people")]
    page.close()


@pytest.mark.parametrize("how", ["button", "Escape"])
def test_closing_is_no_score_and_holds_on_another_device(browser, app, invited, ledger, how):
    page = browser.new_page()
    page.goto(app["host"])
    panel = page.get_by_role("dialog")
    panel.wait_for()
    with page.expect_response("**/widget/dismiss"):
        if how == "button":
            panel.get_by_role("button", name="Close").click()
        else:
            page.keyboard.press("Tab")
            page.keyboard.press("Escape")
    assert page.get_by_role("dialog").count() == 0
    assert (_kinds(ledger), _scores(ledger)) == (["sent", "shown", "dismissed"], [])
    other = browser.new_context().new_page()
    with other.expect_response("**/widget/show") as reply:
        other.goto(f"{app['host']}/?card")
    assert reply.value.status == 204
    other.context.close()
    page.close()


def test_the_card_stays_until_it_is_answered(browser, app, invited, ledger):
    page = browser.new_page(viewport={"width": 375, "height": 760})
    for _ in range(2):
        page.goto(f"{app['host']}/?card")
        page.get_by_role("region").wait_for()
    assert _fits(page) and _violations(page) == []
    with page.expect_response("**/widget/answer"):
        page.get_by_role("region").locator("label.s", has_text="10").click()
    assert _scores(ledger) == [(10, "human", "portal", None)]
    page.close()


@pytest.mark.parametrize("mode", ["panel", "card"])
def test_the_preview_shows_it_and_records_nothing(browser, app, ledger, mode):
    page = browser.new_page(viewport={"width": 375, "height": 760})
    page.goto(f"{app['collector']}/preview/post-close/widget?mode={mode}")
    panel = page.get_by_role("dialog" if mode == "panel" else "region")
    panel.wait_for()
    panel.locator("label.s", has_text="9").click()
    panel.get_by_role("button", name="Send").click()
    panel.get_by_role("heading", name="Thank").wait_for()
    assert _violations(page, None) == []
    assert (_kinds(ledger), _scores(ledger)) == ([], [])
    page.close()


def test_a_page_that_may_not_ask_is_not_disturbed(browser, app, invited, ledger):
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(app["host"].replace("127.0.0.1", "localhost"))
    page.wait_for_load_state("networkidle")
    assert (page.get_by_role("dialog").count(), errors, _kinds(ledger)) == (0, [], [])
    page.close()
