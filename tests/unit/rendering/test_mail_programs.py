"""The mail against what is measured of Outlook, Gmail and Apple Mail: what one of them lacks is decoration, and named here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))

from mail_support import Uses, known, lacking

from dispatch.rendering import render_invitation

# What a mail uses although one of the programs does not know it, and what people see there. That the mail is whole without
# all of these at once is a test in a browser (tests/acceptance/test_mail_in_a_browser.py).
DECORATION = {
    "css-border-radius": "corners are square",
    "css-word-break": "a very long word is not broken",
    "css-word-spacing": "said by the compiler, and what is usual anyway",
    "css-max-height": "of what `mso-hide` hides in Outlook",
    "css-overflow": "of what `mso-hide` hides in Outlook, and at the card's corners",
    "css-opacity": "of what is hidden by other means too",
    "css-display-none": "the line for the list of mails stands above the mail",
    "html-aria-hidden": "a link for machines is read aloud",
    "html-aria-label": "a button is read as its number only",
    "html-role": "tables are read as tables",
    "html-body": "the programs put the body into an element of theirs",
    "html-style": "the light colours, and buttons as wide as elsewhere",
}
MAILS = {
    "plain": {},
    "logo": {"branding": {"logo_url": "https://example.com/logo.png"}},
    "right-to-left": {"language": "ar"},
}


@pytest.mark.parametrize("mail", MAILS.values(), ids=MAILS)
def test_what_is_lacking_somewhere_is_decoration(message, settings, mail) -> None:
    settings = settings.model_copy(
        update={"postal_address": "1 Main Road", "privacy_url": "https://example.com/privacy"}
    )
    uses = Uses(render_invitation(message(mail), settings=settings).html)
    assert uses.unknown == set(), "the check has a name for all that is used"
    assert uses.inline <= set(known()), "caniemail has measured all that the mail stands on"
    assert {feature for feature in uses.inline if lacking(feature)} - set(DECORATION) == set()


def test_every_exception_is_needed(message, settings) -> None:
    uses = Uses(render_invitation(message(), settings=settings).html)
    assert set(DECORATION) <= {feature for feature in uses.inline if lacking(feature)}


@pytest.mark.parametrize(
    ("html", "feature"),
    [
        ('<p style="display:flex">x</p>', "css-display-flex"),
        ('<p style="position:absolute">x</p>', "css-position"),
        ("<form></form>", "html-form"),
        ('<p style="gap:4px">x</p>', "css-gap"),
    ],
    ids=["flex", "position", "form", "gap"],
)
def test_the_check_sees_what_must_not_be_there(html, feature) -> None:
    uses = Uses(html)
    assert feature in uses.inline | {f"html-{name}" for name in uses.unknown}
    assert lacking(feature)


def test_style_blocks_only_add(message, settings) -> None:
    """Programs that know no style blocks get the whole mail; those that do know what stands in them."""
    uses = Uses(render_invitation(message(), settings=settings).html)
    assert {feature for feature in uses.in_blocks if feature not in known()} == set()
    assert "css-at-media-prefers-color-scheme" in uses.in_blocks
