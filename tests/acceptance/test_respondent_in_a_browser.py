"""A person with a real browser: opens the mail, clicks a score, and that is that."""

from __future__ import annotations

import pytest

from closedloop.links import score_link, survey_link, unsubscribe_link
from tests.support.asking_more import asking_more

pytestmark = pytest.mark.browser

DESKTOP, PHONE = {"width": 1100, "height": 800}, {"width": 375, "height": 720}


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def page(browser, request):
    context = browser.new_context(viewport=request.param)
    page = context.new_page()
    page.complaints = []
    context.on("console", lambda message: page.complaints.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: page.complaints.append(str(error.error)))
    yield page
    context.close()


def test_one_click_in_the_mail_and_a_hand_on_the_page_is_an_answer(page, stage) -> None:
    ada = stage.invite("ada")
    page.goto(stage.viewer_url)
    page.get_by_text("ada@customer.example").click()
    mail = page.frame_locator("iframe")
    with page.expect_popup() as popup:
        mail.get_by_role("link", name="9 of 10").click()
    survey = popup.value
    assert survey.get_by_role("radio", name="9").is_checked()
    survey.mouse.click(5, 5)
    answer = stage.wait_for_answer(ada, "human")
    assert (answer.score, answer.comment) == (9, None)
    survey.get_by_text("Your answer 9 is recorded.").wait_for()
    survey.get_by_label("What do you value most").fill("Friendly people.\nFast answers.")
    survey.get_by_role("button", name="Send answer").click()
    survey.get_by_role("heading", name="Thank you! We are glad").wait_for()
    assert stage.wait_for_answer(ada, "human").comment == "Friendly people.\nFast answers."
    assert page.complaints == []


def test_looking_at_the_page_for_two_seconds_is_a_provisional_answer(browser, stage) -> None:
    ada = stage.invite("ada")
    page = browser.new_page()
    page.goto(score_link(stage.settings, ada, 7))
    page.wait_for_timeout(1000)
    assert stage.answer(ada) is None, "a glance is no answer"
    answer = stage.wait_for_answer(ada, "provisional")
    assert answer.score == 7
    page.mouse.click(5, 5)
    assert stage.wait_for_answer(ada, "human").score == 7
    page.close()


def test_a_script_that_plays_a_person_is_not_one(browser, stage) -> None:
    ada = stage.invite("ada")
    page = browser.new_page()
    page.goto(score_link(stage.settings, ada, 2))
    page.evaluate(
        """() => {
            for (const kind of ["pointerdown", "mousedown", "click", "keydown", "wheel"])
              document.body.dispatchEvent(new Event(kind, {bubbles: true}));
            document.querySelector("[value='5']").click();
            document.querySelector("form").requestSubmit();
        }"""
    )
    page.get_by_text("Your answer is 5 of 10").wait_for()
    assert stage.wait_for_answer(ada, "provisional").score == 5
    page.close()


def test_choosing_another_score_changes_question_and_answer(page, stage) -> None:
    ada = stage.invite("ada")
    page.goto(score_link(stage.settings, ada, 9))
    page.get_by_role("radio", name="3", exact=True).click()
    page.get_by_label("What could we do to improve").wait_for()
    assert not page.get_by_text("What do you value most").is_visible()
    assert stage.wait_for_answer(ada, "human").score == 3
    assert page.complaints == []


def test_the_keyboard_is_enough(browser, stage) -> None:
    ada = stage.invite("ada")
    page = browser.new_page()
    page.goto(survey_link(stage.settings, ada))
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    outline = page.evaluate("getComputedStyle(document.activeElement.parentElement).outlineWidth")
    assert outline == "3px", "the focus can be seen"
    page.keyboard.press("Enter")
    page.get_by_text("Your answer is 2 of 10").wait_for()
    assert stage.wait_for_answer(ada, "human").score == 2
    page.close()


def test_without_script_a_button_sends_the_answer(browser, stage) -> None:
    ada = stage.invite("ada")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(score_link(stage.settings, ada, 4))
    page.get_by_label("What could we do to improve").fill("Call me.")
    page.get_by_role("button", name="Send answer").click()
    page.get_by_text("Your answer is 4 of 10").wait_for()
    answer = stage.answer(ada)
    assert (answer.score, answer.judged, answer.comment) == (4, "provisional", "Call me.")
    context.close()


@pytest.mark.parametrize("script", [True, False], ids=["script", "no-script"])
def test_a_choice_after_the_score_in_german_on_a_phone(browser, stage, script) -> None:
    ada = stage.invite("ada", definition=asking_more().model_dump(mode="json"), language="de-AT")
    context = browser.new_context(viewport={"width": 390, "height": 800}, java_script_enabled=script)
    page = context.new_page()
    page.goto(score_link(stage.settings, ada, 9))
    assert page.get_by_role("group", name="Was lief gut?").is_visible()
    page.get_by_role("radio", name="3", exact=True).check()
    assert not page.get_by_role("group", name="Was lief gut?").is_visible()
    page.get_by_label("Der Preis").check()
    if script:
        page.get_by_text("Ihre Antwort 3 ist gespeichert.").wait_for()
        assert page.get_by_label("Der Preis").is_checked()
        boxes = page.eval_on_selector_all(
            ".choice", "found => found.map(one => one.getBoundingClientRect().toJSON()).filter(box => box.width)"
        )
        assert all(box["height"] >= 44 and 0 <= box["left"] < box["right"] <= 390 for box in boxes)
        assert len(boxes) == 2
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Antwort senden").click()
    page.get_by_text("Ihre Antwort ist 3 von 10").wait_for()
    answer = stage.answer(ada)
    assert (answer.score, answer.answers) == (3, {"reason": "price"})
    page.get_by_role("link", name="Neu wählen").click()
    assert page.get_by_label("Der Preis").is_checked()
    page.get_by_role("radio", name="9", exact=True).check()
    page.get_by_label("Die Menschen").check()
    page.get_by_label("The speed").check()
    page.get_by_role("button", name="Antwort senden").click()
    onward = page.get_by_role("link", name="Weiter zu reviews.example")
    assert onward.get_attribute("href") == "https://reviews.example/northwind?from=nps&x=1"
    assert stage.answer(ada).answers == {"reason": ["people", "speed"]}
    context.close()


def test_unsubscribing_takes_one_button(page, stage) -> None:
    ada = stage.invite("ada")
    page.goto(unsubscribe_link(stage.settings, ada))
    page.get_by_role("button", name="Unsubscribe").click()
    page.get_by_role("heading", name="You are unsubscribed").wait_for()
    page.goto(unsubscribe_link(stage.settings, ada))
    page.get_by_role("heading", name="You are already unsubscribed").wait_for()
    assert page.complaints == []


def test_words_are_kept_when_the_answer_cannot_be_sent(browser, stage) -> None:
    ada = stage.invite("ada")
    page = browser.new_page()
    page.goto(score_link(stage.settings, ada, 6))
    page.get_by_label("What could we do to improve").fill("Important words.")
    page.route("**/s/*", lambda route: route.abort())
    page.get_by_role("button", name="Send answer").click()
    page.get_by_text("could not be sent").wait_for()
    page.unroute("**/s/*")
    page.get_by_role("button", name="Send answer").click()
    page.get_by_text("Your answer is 6 of 10").wait_for()
    assert stage.wait_for_answer(ada, "human").comment == "Important words."
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_eleven_buttons_that_a_thumb_can_hit(browser, stage, scheme) -> None:
    """In mail and page: all in view and apart; from a phone of 375 px on, 44 px and more."""
    ada = stage.invite("ada")
    page = browser.new_page(color_scheme=scheme)
    page.goto(stage.viewer_url)
    mail = stage.viewer_url + page.locator(".mails a").first.get_attribute("href") + "/html"
    for address in (mail, score_link(stage.settings, ada, 9)):
        page.goto(address)
        for width in (320, 375, 768, 1280):
            page.set_viewport_size({"width": width, "height": 800})
            boxes = page.eval_on_selector_all(
                ".score", "found => found.map(one => one.getBoundingClientRect().toJSON())"
            )
            assert len({(round(box["left"]), round(box["top"])) for box in boxes}) == len(boxes) == 11
            for box in boxes:
                assert min(box["width"], box["height"]) >= (44 if width >= 375 else 36)
                assert 0 <= box["left"] < box["right"] <= width
            assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.close()
