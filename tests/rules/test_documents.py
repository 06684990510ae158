"""The project's pages and files tell the truth of today."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from closedloop.programme import Survey, TriggerEvent
from closedloop.programme.files import json_schema
from closedloop.programme.filters import FIELDS
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


def test_every_trigger_and_filter_field_is_documented() -> None:
    page = (ROOT / "docs/surveys.md").read_text()
    assert not [event for event in TriggerEvent if f"`{event}`" not in page]
    triggers = [part for name, part in json_schema()["$defs"].items() if name.endswith("Trigger")]
    assert not {name for part in triggers for name in part["properties"] if f"`{name}`" not in page}
    assert not [name for fields in FIELDS.values() for name in fields if f".{name}`" not in page]


def test_every_piece_of_a_programme_in_the_page_is_good() -> None:
    smallest, *pieces = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/surveys.md").read_text(), re.DOTALL)
    assert pieces
    question = "{id: impact, kind: choice, text: Which, choices: [{id: price, label: Price}]}"
    for piece in pieces:
        Survey.model_validate(yaml.safe_load(f"{smallest}questions: [{question}]\n{piece}"))


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
