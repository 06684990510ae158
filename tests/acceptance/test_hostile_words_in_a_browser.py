"""Nothing that a person or a CRM writes runs in a real browser: no script, no dialog, no request to anybody else."""

from __future__ import annotations

import smtplib

import pytest

from closedloop.links import Purpose, preferences_link, score_link, sign
from tests.support.hostile import SCRIPTS

pytestmark = pytest.mark.browser
WORDS = " ".join(words for name, words in SCRIPTS.items() if name != "json")  # its line ends stop a mail
NAMES = ("first_name", "last_name", "contact_name", "account_name", "company", "owner_name", "csm_name")


@pytest.fixture
def page(browser):
    """A page that remembers dialogs and requests to others."""
    context = browser.new_context()
    page = context.new_page()
    page.found = []

    def only_here(route) -> None:
        if route.request.url.startswith(("http://127.0.0.1:", "data:", "about:")):
            route.continue_()
        else:
            page.found.append(route.request.url)
            route.abort()

    def dismiss(dialog) -> None:
        page.found.append(dialog.message)
        dialog.dismiss()

    context.route("**/*", only_here)
    page.on("dialog", dismiss)
    yield page
    context.close()


def _is_quiet(page) -> bool:
    """After every word was touched: no script ran in any frame."""
    for frame in page.frames:
        frame.evaluate(
            "document.querySelectorAll('*').forEach(e => { e.focus && e.focus(); e.dispatchEvent(new Event('mouseover')); })"
        )
    page.wait_for_timeout(100)
    return page.found == [] and all(frame.evaluate("window.__pwned === undefined") for frame in page.frames)


def test_the_pages_of_somebody_who_is_called_so(page, stage) -> None:
    thanks = dict.fromkeys(("detractor", "passive", "promoter"), "{{ first_name }} {{ account_name }}")
    eve = stage.invite("eve", **dict.fromkeys(NAMES, WORDS), language="en")
    definition = _definition_of(stage, eve)
    question = definition["question"] | {"text": "{{ first_name }} {{ company }}", "low_label": "{{ csm_name }}"}
    definition |= {"thank_you": thanks, "question": question}
    bob = stage.invite("bob", **dict.fromkeys(NAMES, WORDS), definition=definition)
    page.goto(score_link(stage.settings, bob, 3))
    assert _is_quiet(page)
    page.locator("#comment").fill(WORDS)
    page.locator("button[type=submit]").click()
    page.locator("#thanks").wait_for()
    assert "window.__pwned=1" in page.inner_text("#thanks")
    assert _is_quiet(page), "the script put the next page in"
    assert stage.wait_for_answer(bob, "human").comment == WORDS.strip()
    page.goto(score_link(stage.settings, bob, 3))
    assert page.locator("#comment").input_value() == WORDS.strip()
    assert _is_quiet(page)
    for link in (preferences_link(stage.settings, bob), _leave(stage, bob)):
        page.goto(link)
        assert _is_quiet(page)


def test_the_mails_of_somebody_who_is_called_so_and_mails_of_others(page, stage) -> None:
    stage.invite("eve", **dict.fromkeys(NAMES, WORDS))
    head = "From: x@x.example\r\nSubject: raw\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    raw = head + "\r\n".join(SCRIPTS.values())
    with smtplib.SMTP(stage._sink.host, stage._sink.port) as client:
        client.sendmail("x@x.example", ["b@x.example"], raw.encode())
    page.goto(stage.viewer_url)
    assert _is_quiet(page)
    keys = page.eval_on_selector_all(".mails a", "found => found.map(one => one.getAttribute('href'))")
    assert len(keys) == 2
    for key in keys:
        for view in ("", "?view=text", "?view=source", "/html"):
            page.goto(stage.viewer_url + key + view)
            page.wait_for_timeout(100)
            page.found.clear()  # a mail may ask for pictures of others; the policy refuses them, and the test too
            assert page.evaluate("window.__pwned") is None
            assert page.url.startswith(stage.viewer_url), "nothing moves the page on"


def _definition_of(stage, invitation_id: str) -> dict:
    from closedloop.ledger.answers import invitation

    with stage.ledger.read() as conn:
        return invitation(conn, invitation_id).payload["definition"]


def _leave(stage, invitation_id: str) -> str:
    return f"{stage.settings.collector_url}/u/{sign(stage.settings.link_secret, invitation_id, Purpose.UNSUBSCRIBE)}"
