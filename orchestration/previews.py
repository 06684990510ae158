"""Programmes to look at before anyone is asked: sample mails, the collector with their previews, and pictures of them."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import partial
from pathlib import Path

from starlette.applications import Starlette

from closedloop.errors import BadInput, ClosedLoopError
from closedloop.programme import Survey
from closedloop.serving import listen, serving
from closedloop.settings import Settings, load_settings
from orchestration.reports import cannot_write, find_survey, sample_message

WINDOW = (1660, 920)
"""Pixels of a picture: the three widths side by side, as `/preview/<survey>/all` shows them."""
WAIT_MS, GIVE_UP_SECONDS = 4_000, 60
CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    *("--headless=new", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--force-device-scale-factor=1"),
)


def sample_mail(settings: Settings, survey: Survey, language: str | None = None) -> str:
    """The HTML of an invitation for a made-up person who reads `language`, by default the survey's own."""
    from dispatch.rendering import render_invitation

    message = sample_message(survey, "sample@closedloop.example")
    message["payload"]["language"] = language or survey.language
    return render_invitation(message, settings=settings).html


def app_of_the_environment() -> Starlette:
    """The collector of one worker, with previews of mails."""
    from ingestion.collector.app import create_app

    settings = load_settings()
    return create_app(settings, mail_of=partial(sample_mail, settings))


def write_mail(settings: Settings, survey_id: str, output: Path, *, language: str | None = None) -> None:
    """Write the invitation mail of a survey as an HTML file."""
    html = sample_mail(settings, find_survey(settings, survey_id), language)
    try:
        output.write_text(html, encoding="utf-8")
    except OSError as error:
        raise cannot_write(output, error) from None


def take_pictures(settings: Settings, survey_id: str, folder: Path, *, language: str | None = None) -> list[Path]:
    """Pictures (PNG) of mail, page, panel and card, as far as the survey has them, each at three widths; and the mail as HTML.

    Needs Chromium; it looks at a collector of this process, which records nothing. Raises BadInput without it, for an unknown
    survey and for a folder that cannot be written.
    """
    from ingestion.collector.app import create_app
    from ingestion.collector.preview import surfaces_of

    survey = find_survey(settings, survey_id)
    browser = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if browser is None:
        raise BadInput(
            "pictures need the browser Chromium, which is not here",
            remedy="install it (Debian: `apt-get install chromium`), or open <collector>/preview/SURVEY/all in any browser",
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(folder, error) from None
    sock = listen("127.0.0.1", 0, remedy="")
    address = f"http://127.0.0.1:{sock.getsockname()[1]}"
    settings.ensure_home()
    here = settings.model_copy(update={"collector_url": address})
    write_mail(settings, survey_id, folder / f"{survey_id}-mail.html", language=language)
    taken = [folder / f"{survey_id}-mail.html"]
    with serving(create_app(here, mail_of=partial(sample_mail, here)), sock), tempfile.TemporaryDirectory() as profile:
        for surface in surfaces_of(survey):
            picture = folder / f"{survey_id}-{surface}.png"
            query = f"?show={surface}" + (f"&language={language}" if language else "")
            _shoot(browser, f"{address}/preview/{survey_id}/all{query}", picture, profile)
            taken.append(picture)
    return taken


def _shoot(browser: str, address: str, picture: Path, profile: str) -> None:
    picture.unlink(missing_ok=True)
    width, height = WINDOW
    command = [browser, *ARGUMENTS, f"--window-size={width},{height}", f"--virtual-time-budget={WAIT_MS}"]
    command += ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium's own does not work for root
    command += [f"--user-data-dir={profile}", f"--screenshot={picture.resolve()}", address]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIVE_UP_SECONDS)
    except subprocess.TimeoutExpired:
        raise ClosedLoopError(f"Chromium took longer than {GIVE_UP_SECONDS} seconds for a picture") from None
    if not picture.exists():
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ClosedLoopError(f"Chromium took no picture: {last[:200]}")
