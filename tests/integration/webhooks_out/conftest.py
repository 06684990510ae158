"""A ledger on either engine, and receivers of webhooks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres import new_database
from webhook_receiver import Receiver

from closedloop.ledger import Ledger
from closedloop.settings import Settings

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture
def other() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def settings(request: pytest.FixtureRequest, tmp_path: Path, receiver: Receiver) -> Settings:
    """With one endpoint, `crm`, that gets everything without personal data."""
    url = "" if request.param == "sqlite" else new_database(request.getfixturevalue("postgres_server"))
    settings = Settings(
        home=tmp_path / "home",
        ledger_url=url,
        webhooks=[{"name": "crm", "url": receiver.url, "secret": KEY}],
        _env_file=None,
    )
    settings.ensure_home()
    return settings


@pytest.fixture
def ledger(settings: Settings) -> Iterator[Ledger]:
    with Ledger.open(settings) as ledger:
        yield ledger
