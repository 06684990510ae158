"""The dashboard in a real browser: what a manager sees, on a desk and on a phone."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from closedloop.settings import Settings
from dashboard.serve import command, environment

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

pytestmark = pytest.mark.browser
SIZES = {"desktop": {"width": 1280, "height": 900}, "phone": {"width": 390, "height": 844}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dashboard") / "home"


@pytest.fixture(scope="module")
def address(home: Path) -> Iterator[str]:
    settings = Settings(home=home, _env_file=None)
    settings.ensure_home()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (home / "dashboard.log").open("w")
    server = subprocess.Popen(command(port), env=environment(settings), stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(150):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=10)
        log.close()


def _open(browser, address: str, size: str, awaited: str):
    """A page, once `awaited` is there; requests to anyone but the dashboard are refused and remembered."""
    page = browser.new_page(viewport=SIZES[size])
    page.abroad = []

    def only_here(route) -> None:
        if route.request.url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            page.abroad.append(route.request.url)
            route.abort()

    page.route("**/*", only_here)
    page.goto(address)
    page.wait_for_selector(awaited, timeout=30_000)
    return page


def test_from_nothing_published_to_numbers_to_a_broken_file(browser, address: str, home: Path) -> None:
    from published_marts import publish

    page = _open(browser, address, "desktop", "text=Nothing is published yet")
    assert "make demo" in page.inner_text("body")

    link = publish(home)
    page.wait_for_selector(".cl-footer", timeout=30_000)  # by itself, without a reload
    said = page.inner_text("body")
    assert "+23" in said and "95 % interval +14 to +32, 364 answers" in said
    assert "−50" in said and "Too few answers to rely on this number." in said
    assert page.locator(".cl-few .cl-big").inner_text() == "−50", "under the minimum n it is greyed"
    assert "Response rate 25 % of 1,456 sent" in said
    assert "87 %" in said and "18 h" in said
    assert "✓ Resolved 110 (96 %)" in said and "○ Unresolved 4 (4 %)" in said
    assert "of 40 detractors who answered again; 7 now promoters" in said
    assert (
        "1.23 M" in said and "yearly contracts of 3 accounts whose latest answer is an unresolved detractor’s" in said
    )
    assert "– contacted within the SLA" in said and "an association, not a cause" in said
    assert page.locator("tr.cl-few >> text=– not contacted in time").count() == 1, "11 pairs are too few"
    assert "publication p-1" in said and "Data as of 02 Mar 2026, 09:00 UTC" in said and "published" in said
    assert "“Comment 0 <script>alert(1)</script> *fine*”" in said, "what a customer wrote is shown as written"
    page.wait_for_selector("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg")
    assert page.locator("[data-testid=stVegaLiteChart]").count() == 3
    assert page.abroad == [], "the page asks nobody else"

    page.get_by_text("Transactional", exact=True).click()
    page.wait_for_selector("text=Transactional: all headline surveys")
    page.wait_for_selector(".cl-answer >> text=Support Ticket Resolved")
    page.wait_for_selector(
        "text=Nobody has answered a transactional survey in this period who had answered one before."
    )
    page.get_by_role("radio", name="Owner").click()
    page.wait_for_selector(".cl-table td >> text=Ana Silva")

    link.resolve().write_bytes(b"broken" * 1000)
    page.reload()
    page.wait_for_selector("text=The published file cannot be read", timeout=30_000)
    assert "Traceback" not in page.inner_text("body")
    page.close()


def test_on_a_phone_nothing_is_wider_than_the_screen(browser, address: str, home: Path) -> None:
    from published_marts import publish

    publish(home, publication_id="p-2")
    page = _open(browser, address, "phone", ".cl-footer")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    wide = page.evaluate(
        "[...document.querySelectorAll('.cl-card, .cl-answer, .cl-footer, [data-testid=stVegaLiteChart]')]"
        ".filter(e => e.getBoundingClientRect().right > 391).length"
    )
    assert wide == 0
    page.close()


def test_an_empty_publication_says_so(browser, address: str, home: Path) -> None:
    from published_marts import publish

    publish(home, publication_id="p-3", answers=False)
    page = _open(browser, address, "desktop", ".cl-footer")
    said = page.inner_text("body")
    assert said.count("No answers in this period.") >= 2
    assert "Nothing was sent in this period." in said
    assert "No detractor needs a follow-up in this period." in said
    assert "Nobody has answered a relationship survey in this period who had answered one before." in said
    page.close()


def test_no_name_and_no_verbatim_runs_or_asks_anybody_else(browser, address: str, home: Path) -> None:
    import duckdb
    from hostile import SCRIPTS
    from published_marts import publish

    words = " ".join(SCRIPTS.values())
    link = publish(home, publication_id="p-4")
    with duckdb.connect(str(link.resolve())) as con:
        for change in (
            "marts.dim_accounts set account_name = $1",
            "marts.dim_contacts set first_name = $1, last_name = $1",
            "marts.dim_users set user_name = user_id || $1",
            "marts.dim_surveys set survey_name = $1",
            "marts.fct_responses set comment = $1, tier = tier || $1",
            "marts.rpt_nps set segment_value = segment_value || $1 where segment = 'tier'",
            "marts.rpt_goals set segment_value = $1 where segment <> 'all'",
        ):
            con.execute(f"update {change}", [words])
    page = _open(browser, address, "desktop", ".cl-footer")
    page.wait_for_selector(".cl-verbatim")
    page.wait_for_selector("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg")
    page.evaluate("document.querySelectorAll('main *').forEach(e => e.dispatchEvent(new Event('mouseover')))")
    said = page.inner_text("body")
    assert "hides a range: from" in said, "the names stand where Markdown is read, too"
    assert said.count("<script>window.__pwned=1</script>") > 10
    assert page.evaluate("window.__pwned === undefined")
    assert page.locator("a[href*='javascript:'], a[href*='evil.test'], img[src*='evil.test']").count() == 0
    assert page.abroad == []
    page.close()
