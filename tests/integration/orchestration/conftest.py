"""Dagster without a server: an instance that forgets, and the platform of a fresh home."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from dagster import DagsterInstance

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))

from closedloop.clock import Clock
from closedloop.settings import Settings
from orchestration.common.platform import Platform


class StandingClock(Clock):
    """A clock that a test moves by hand."""

    def __init__(self, time) -> None:
        self.time = time

    def now(self):
        return self.time


@pytest.fixture
def instance():
    with DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def platform(settings: Settings, now) -> Platform:
    return Platform(settings, StandingClock(now), quiet=True)
