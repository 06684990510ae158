"""A programme is looked at before anyone is asked: mail, page, panel and card, on a desk, a tablet and a phone."""

from __future__ import annotations

import socket
import struct
from functools import partial
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from closedloop.ledger.schema import events
from closedloop.serving import serving
from ingestion.collector.app import create_app
from orchestration.previews import WINDOW, sample_mail, take_pictures

pytestmark = pytest.mark.browser

PROGRAMME = """
id: everywhere
name: Everywhere
type: relationship
status: draft
company: Northwind Cloud
channels: [email, in_app, portal]
triggers: [{event: schedule_quarterly}]
languages:
  ar:
    question: {text: "ما مدى احتمال أن توصي بنا؟"}
"""


@pytest.fixture
def here(settings, ledger, tmp_path: Path):
    """A collector that previews mails, of a home with one programme in draft."""
    folder = tmp_path / "surveys"
    folder.mkdir()
    (folder / "everywhere.yml").write_text(PROGRAMME, encoding="utf-8")
    sock = socket.create_server(("127.0.0.1", 0))
    address = f"http://127.0.0.1:{sock.getsockname()[1]}"
    settings = settings.model_copy(update={"surveys": folder, "collector_url": address})
    with serving(create_app(settings, mail_of=partial(sample_mail, settings)), sock):
        yield settings


SEEN = {
    "mail": "a[href*='score=']",
    "page": "input[name=score]",
    "widget": "role=radio",
    "card": "role=radio",
}


@pytest.mark.parametrize("surface", SEEN)
def test_all_three_widths_side_by_side(browser, here, ledger, surface) -> None:
    context = browser.new_context(viewport={"width": 1660, "height": 920})
    page = context.new_page()
    complaints: list[str] = []
    context.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.goto(f"{here.collector_url}/preview/everywhere/all?show={surface}")
    assert page.locator("iframe").count() == 3
    for number, width in enumerate((1280, 768, 375)):
        frame = page.frame_locator("iframe").nth(number)
        frame.locator(SEEN[surface]).nth(10).wait_for(state="attached")
        assert frame.locator(SEEN[surface]).count() == 11
        assert frame.locator("body").evaluate("one => innerWidth") == width
        assert frame.locator("body").evaluate("one => document.documentElement.scrollWidth") <= width
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert complaints == []
    with ledger.read() as conn:
        assert conn.execute(events.select()).first() is None, "nothing is recorded"
    context.close()


def test_from_one_surface_and_language_to_the_next(browser, here) -> None:
    page = browser.new_page()
    page.goto(f"{here.collector_url}/preview/everywhere")
    page.get_by_role("link", name="All widths").click()
    page.get_by_role("link", name="Mail").click()
    page.get_by_role("link", name="ar", exact=True).click()
    assert page.get_by_role("link", name="Mail").get_attribute("aria-current") == "page"
    mail = page.frame_locator("iframe").first
    assert mail.locator("html").get_attribute("dir") == "rtl"
    assert mail.get_by_text("ما مدى احتمال").is_visible()
    page.close()


def test_on_a_phone_the_frames_stand_below_each_other(browser, here) -> None:
    page = browser.new_page(viewport={"width": 375, "height": 720})
    page.goto(f"{here.collector_url}/preview/everywhere/all")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.close()


def test_pictures_by_a_command(browser, here, tmp_path: Path) -> None:
    taken = take_pictures(here, "everywhere", tmp_path / "pictures", language="ar")
    assert [file.name.removeprefix("everywhere-") for file in taken] == [
        *("mail.html", "mail.png", "page.png", "widget.png", "card.png")
    ]
    for file in taken[1:]:
        head = file.read_bytes()[:24]
        assert struct.unpack(">II", head[16:24]) == WINDOW
    assert len({file.read_bytes() for file in taken[1:]}) == 4, "each shows something else"
