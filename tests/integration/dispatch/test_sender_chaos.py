"""The short form of `make chaos`: nothing twice, nothing lost, in doubt at most what a kill can leave."""

from __future__ import annotations

from pathlib import Path

import pytest
from sender_chaos import play

pytestmark = pytest.mark.slow


def test_killed_again_and_again_against_a_server_of_every_fault(tmp_path: Path):
    outcome = play(tmp_path / "home", count=240, kills=14, seed=3)
    assert outcome.kills >= 10
    assert outcome.is_kept, outcome
