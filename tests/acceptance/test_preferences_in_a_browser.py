"""A person who wants fewer surveys, or none, and then some again: by keyboard, on a phone, in the dark, without script."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe

from closedloop.ledger.wishes import wishes_of
from closedloop.links import score_link, unsubscribe_link

pytestmark = pytest.mark.browser

SCREENS = [(1100, 800, "light"), (375, 720, "dark")]


@pytest.mark.parametrize(("width", "height", "scheme"), SCREENS, ids=["desktop", "phone"])
def test_from_the_thank_you_page_to_a_choice_and_back(browser, stage, width, height, scheme) -> None:
    ada = stage.invite("ada")
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    page = context.new_page()
    complaints = []
    context.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(score_link(stage.settings, ada, 9))
    page.get_by_role("button", name="Send answer").click()
    page.get_by_role("link", name="Choose what you get").click()
    page.get_by_role("heading", name="What would you like to get?").wait_for()
    _is_accessible_and_fits(page, width)
    boxes = page.eval_on_selector_all(".choice", "found => found.map(one => one.getBoundingClientRect().height)")
    assert min(boxes) >= 44

    page.get_by_label("Once in six months").check()
    page.get_by_role("checkbox").first.uncheck()
    name = page.get_by_role("checkbox").first.get_attribute("value")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("status").get_by_text("Your choice is saved.").wait_for()
    assert not page.get_by_role("checkbox").first.is_checked()
    _is_accessible_and_fits(page, width)
    stands = _wishes(stage, ada)
    assert (stands.at_most_every_days, stands.unwanted) == (180, {name})

    page.get_by_label("No surveys at all").check()
    assert not page.get_by_role("checkbox").first.is_visible(), "what no longer matters is put away"
    page.get_by_role("button", name="Save").click()
    page.get_by_role("status").wait_for()
    assert _wishes(stage, ada).suppressed_for == "unsubscribed"
    page.goto(unsubscribe_link(stage.settings, ada))
    page.get_by_role("heading", name="You are already unsubscribed").wait_for()
    page.get_by_role("link", name="Changed your mind?").click()
    page.get_by_label("I would like to be asked").check()
    page.get_by_role("button", name="Save").click()
    page.get_by_role("status").wait_for()
    assert _wishes(stage, ada).suppressed_for is None
    assert complaints == []
    context.close()


def test_keyboard_only_and_without_script(browser, stage) -> None:
    ada = stage.invite("ada")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(unsubscribe_link(stage.settings, ada))
    page.get_by_role("link", name="Choose what you get").press("Enter")
    page.get_by_label("As they come").press("ArrowDown")
    page.keyboard.press("Enter")
    page.get_by_text("Your choice is saved.").wait_for()
    assert _wishes(stage, ada).at_most_every_days == 90
    context.close()


def _wishes(stage, invitation_id: str):
    from closedloop.identity import person_key

    with stage.ledger.read() as conn:
        return wishes_of(conn, person_key("ada@customer.example"))


def _is_accessible_and_fits(page, width: int) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
