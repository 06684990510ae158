"""The survey mail as mail programs show it: with and without style blocks, pictures and decoration, on a phone, in the dark."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from mail_support import declarations, feature_of, lacking

from closedloop.programme import load_surveys
from dispatch.rendering import render_invitation
from orchestration.reports import sample_message

pytestmark = pytest.mark.browser

WIDTHS = {"desktop": 900, "phone": 375, "small phone": 320}
BRANDS = {
    "blue": {},
    "pale yellow": {"primary_colour": "#fff2a8", "background_colour": "#fffbe6"},
    "night": {
        "primary_colour": "#101820",
        "background_colour": "#0b0d12",
        "logo_url": "https://example.invalid/logo.png",
    },
}


# Landmarks belong to the page of the mail program, of which a mail is an article.
AXE = {"rules": {"landmark-one-main": {"enabled": False}, "region": {"enabled": False}}}


def is_readable(page) -> None:
    found = Axe().run(page, options=AXE)
    assert found.violations_count == 0, found.generate_report()


def without_style_blocks(html: str) -> str:
    return re.sub(r"<style.*?</style>", "", html, flags=re.DOTALL)


def without_decoration(html: str) -> str:
    """The mail where one program or other knows nothing of what it uses: no style blocks, none of those declarations."""

    def kept(found: re.Match[str]) -> str:
        known = [(name, value) for name, value in declarations(found[1]) if not _is_lacking(name, value)]
        return f'style="{";".join(f"{name}:{value}" for name, value in known)}"'

    return re.sub(r' (aria-[a-z]+|role)="[^"]*"', "", re.sub(r'style="([^"]*)"', kept, without_style_blocks(html)))


def _is_lacking(name: str, value: str) -> bool:
    feature = feature_of(name, value)
    # The link for machines stays hidden: a program that shows it is one that reads no styles at all.
    return feature is not None and feature != "css-display-none" and bool(lacking(feature))


@pytest.fixture
def mail(settings):
    """Makes the HTML of a mail of the relationship survey."""
    settings = settings.model_copy(
        update={"postal_address": "1 Main Road, 12345 Springfield", "privacy_url": "https://example.com/privacy"}
    )
    survey = {one.id: one for one in load_surveys(settings.surveys)}["relationship"]

    def make(language: str = "en", **branding: object) -> str:
        message = sample_message(survey, "ada@customer.example")
        definition = message["payload"]["definition"]
        definition["branding"] |= branding
        definition["language"], definition["languages"] = language, {}
        return render_invitation(message, settings=settings).html

    return make


@pytest.fixture
def show(browser):
    """Opens a mail at a width; nothing is fetched from anywhere."""
    opened = []

    def open_page(html: str, width: int, scheme: str = "light"):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        opened.append(context)
        page = context.new_page()
        page.route("**/*", lambda route: route.abort())
        page.set_content(html, wait_until="load")
        return page

    yield open_page
    for context in opened:
        context.close()


def buttons(page) -> list[dict[str, float]]:
    return page.eval_on_selector_all(
        "a[href*='?score=']",
        """found => found.filter(one => one.checkVisibility()).map(one => {
            const box = one.getBoundingClientRect();
            return {score: +one.textContent, x: box.x, y: box.y, width: box.width, height: box.height};
        })""",
    )


def eleven_large_buttons_apart(page, width: int) -> None:
    found = buttons(page)
    assert [one["score"] for one in found] == list(range(11))
    for one in found:
        assert one["width"] >= 42 and one["height"] >= 44, "large enough for a thumb"
        assert one["x"] >= 0 and one["x"] + one["width"] <= width
    for one, other in zip(found, found[1:], strict=False):
        assert other["y"] > one["y"] + one["height"] or abs(other["x"] - one["x"]) >= one["width"] + 1, "apart"
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@pytest.mark.parametrize("taken", [str, without_style_blocks, without_decoration], ids=["whole", "no blocks", "bare"])
def test_eleven_buttons_whatever_a_program_leaves_out(mail, show, taken, width) -> None:
    page = show(taken(mail()), width)
    eleven_large_buttons_apart(page, width)
    rows = {round(one["y"]) for one in buttons(page)}
    assert len(rows) == (1 if width > 600 else 2) or taken is not str
    for words in ("Hello Sam,", "How likely are you", "Unsubscribe", "1 Main Road", "Privacy"):
        assert page.get_by_text(words).first.is_visible()
    assert not page.get_by_text("For machines").is_visible()


@pytest.mark.parametrize("brand", BRANDS.values(), ids=BRANDS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_readable_in_every_brand(mail, show, brand, scheme) -> None:
    for width in WIDTHS.values():
        page = show(mail(**brand), width, scheme)
        is_readable(page)
        eleven_large_buttons_apart(page, width)


def test_readable_without_style_blocks(mail, show) -> None:
    for brand in BRANDS.values():
        is_readable(show(without_style_blocks(mail(**brand)), 600))


def test_pictures_off_leave_the_companys_name(mail, show) -> None:
    page = show(mail(**BRANDS["night"]), 600)
    assert page.get_by_alt_text("Northwind Cloud").is_visible()


@pytest.mark.parametrize("language", ["ar", "he"])
def test_from_right_to_left(mail, show, language) -> None:
    for taken in (str, without_style_blocks):
        page = show(taken(mail(language)), 600)
        eleven_large_buttons_apart(page, 600)
        found = buttons(page)
        assert found[0]["x"] > found[1]["x"], "the scale begins where reading does"
        greeting = page.locator("h1").evaluate(
            "one => getComputedStyle(one).direction + getComputedStyle(one).textAlign"
        )
        assert greeting == "rtlright" or greeting == "rtlstart"
    is_readable(page)


@pytest.mark.parametrize("language", ["de", "es", "fr", "ja", "nl", "pt"])
def test_longer_words_fit(mail, show, language) -> None:
    page = show(mail(language), 320)
    eleven_large_buttons_apart(page, 320)
