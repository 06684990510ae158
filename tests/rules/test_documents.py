"""The project's pages and files tell the truth of today."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from closedloop.programme.definitions import Survey
from closedloop.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def tracked(*patterns: str) -> list[Path]:
    found = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in found.stdout.splitlines() if (ROOT / name).is_file()]


def test_every_setting_is_documented() -> None:
    page = (ROOT / "docs/settings.md").read_text()
    missing = [name for name in Settings.model_fields if f"`CLOSEDLOOP_{name.upper()}`" not in page]
    assert not missing


def test_every_survey_field_is_documented() -> None:
    page = (ROOT / "docs/surveys.md").read_text()
    missing = [name for name in Survey.model_fields if f"`{name}" not in page]
    assert not missing


def test_every_dependency_has_its_reason() -> None:
    log = (ROOT / "DECISIONLOG.md").read_text()
    for file in ("requirements/runtime.in", "requirements/dev.in"):
        for line in (ROOT / file).read_text().splitlines():
            if name := re.match(r"[a-z][a-z0-9-]*", line):
                assert name[0] in log, f"{name[0]} of {file} has no reason in DECISIONLOG.md"


@pytest.mark.parametrize("lock", ["bootstrap", "runtime", "dev"])
def test_locks_hold_versions_and_hashes_only(lock: str) -> None:
    text = (ROOT / f"requirements/{lock}.lock").read_text()
    assert "://" not in text
    pins = re.findall(r"^[a-z0-9].*==.*$", text, re.MULTILINE | re.IGNORECASE)
    assert pins
    assert text.count("--hash=sha256:") >= len(pins)


def test_links_between_pages_lead_somewhere() -> None:
    for page in tracked("*.md"):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_commands_of_the_pages_exist() -> None:
    """Every `closedloop ...` that a page names is a command of today."""
    from orchestration.cli import cli

    for page in tracked("*.md"):
        for words in re.findall(r"closedloop ((?:[a-z][a-z-]+ ?)+)", page.read_text()):
            command = cli
            for word in words.split():
                known = getattr(command, "commands", None)
                if known is None or word not in known:
                    assert command is not cli or page.name in {"CHANGELOG.md"}, f"{page.name}: closedloop {words}"
                    break
                command = known[word]
