"""A home with a ledger, and a mail server that fails on demand."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "support"))

from ledger_world import NOW
from mail_server import MailServer

from closedloop.clock import Clock
from closedloop.settings import Settings


@pytest.fixture(params=[False, True], ids=["plain", "pipelining"])
def server(request) -> Iterator[MailServer]:
    server = MailServer(pipelining=request.param)
    yield server
    server.close()


@pytest.fixture
def settings(tmp_path: Path, server: MailServer) -> Settings:
    settings = Settings(home=tmp_path / "home", smtp_url=server.url, _env_file=None)
    settings.ensure_home()
    return settings


@pytest.fixture
def clock() -> Clock:
    return Clock.starting_at(NOW)
