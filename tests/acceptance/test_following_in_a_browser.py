"""The person who follows up, in a real browser: at a desk and on a phone, in light and dark, with nothing that axe complains of."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from closedloop.ledger import answers
from closedloop.ledger.followups import list_followups
from closedloop.links import follow_up_link, worklist_link
from dispatch.followup import run_follow_up

pytestmark = pytest.mark.browser

SCREENS = {"desktop": (1280, 900, "light"), "phone": (390, 844, "dark")}
OWNER = "robin.rep@closedloop.example"
PEOPLE = {
    "owner_name": "Robin Rep",
    "owner_email": OWNER,
    "manager_id": "U2",
    "manager_name": "Max Manager",
    "manager_email": "max@closedloop.example",
}
LATER = dt.timedelta(seconds=1)


@pytest.mark.parametrize("screen", SCREENS)
def test_from_the_list_to_the_outcome(browser, stage, screen: str) -> None:
    width, height, scheme = SCREENS[screen]
    now = dt.datetime.now(dt.UTC)
    for name, score, words in (
        ("ada", 5, "Nobody calls back.\nTwice now."),
        ("bob", 4, None),
        ("cyd", 6, "It is slow."),
    ):
        invitation = stage.invite(name, **PEOPLE, contact_name=f"{name.title()} Lovelace")
        with stage.ledger.write() as conn:
            answers.record_answer(
                conn, invitation, score, comment=words, channel="email", judged="human", at=now, now=now
            )
    run_follow_up(stage.ledger, stage.settings, (), now=now + LATER)
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    complaints: list[str] = []
    context.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page = context.new_page()
    page.goto(worklist_link(stage.settings, OWNER))
    _look_at(page, screen, "list")
    page.get_by_role("link", name="Ada Lovelace").click()
    _look_at(page, screen, "open")
    page.get_by_label("What they said").fill("Called: they want one person to talk to.")
    page.get_by_role("button", name="I have contacted them").click()
    page.get_by_text("Saved.").wait_for()
    _look_at(page, screen, "contacted")
    page.get_by_label("Investigating").check()
    page.get_by_role("button", name="Save the step").click()
    page.locator("summary", has_text="Hand it over").click()
    page.get_by_label("Max Manager").check()
    page.get_by_role("button", name="Hand it over").click()
    page.get_by_text("with Max Manager").wait_for()
    page.get_by_label("Partially resolved").check()
    page.get_by_role("button", name="Log the outcome").click()
    page.get_by_text("Closed: partially resolved", exact=True).first.wait_for()
    _look_at(page, screen, "closed")
    assert not complaints
    context.close()
    [row] = [row for row in list_followups(stage.ledger, include_closed=True) if row["status"] == "closed"]
    assert (row["assignee_email"], row["outcome"]) == ("max@closedloop.example", "partially_resolved")
    assert row["first_contact_at"] <= row["due_at"]


@pytest.mark.parametrize("screen", ["phone", "dark-desktop"])
def test_long_words_and_a_button_pressed_twice(browser, stage, screen: str) -> None:
    width, scheme = (320, "light") if screen == "phone" else (1280, "dark")
    now = dt.datetime.now(dt.UTC)
    name, words = "L" * 100, "w" * 3000 + " \u05dc\u05d0 \u05d8\u05d5\u05d1!"
    invitation = stage.invite("ada", **PEOPLE, contact_name=name, account_name="A" * 120)
    with stage.ledger.write() as conn:
        answers.record_answer(conn, invitation, 2, comment=words, channel="email", judged="human", at=now, now=now)
    run_follow_up(stage.ledger, stage.settings, (), now=now + LATER)
    page = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    page.goto(worklist_link(stage.settings, "max@closedloop.example"))  # a score this low is the manager's
    _look_at(page, screen, "long-list")
    page.get_by_role("link", name=name).click()
    _look_at(page, screen, "long-open")
    page.get_by_label("What they said").fill("\u754c" * 4000)
    page.get_by_role("button", name="I have contacted them").dblclick()
    page.get_by_text("Saved.").wait_for()
    assert page.get_by_role("alert").count() == 0
    _look_at(page, screen, "long-contacted")
    page.get_by_role("link", name="All your follow-ups").click()
    page.get_by_text("1 open").wait_for()
    page.context.close()


def test_an_empty_list_and_a_link_that_is_none(browser, stage) -> None:
    page = browser.new_page()
    page.goto(worklist_link(stage.settings, "nobody@closedloop.example"))
    _look_at(page, "desktop", "empty")
    assert page.goto(follow_up_link(stage.settings, "0" * 32)).status == 404
    _look_at(page, "desktop", "unknown")
    page.context.close()


def _look_at(page, screen: str, name: str) -> None:
    """Nothing scrolls sideways, and axe finds nothing; a picture where CLOSEDLOOP_SCREENSHOTS names a folder."""
    if folder := os.environ.get("CLOSEDLOOP_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"following-{name}-{screen}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    found = Axe().run(page).response["violations"]
    assert not found, [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found]
