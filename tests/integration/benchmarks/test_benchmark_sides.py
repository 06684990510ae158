"""The benchmark's hand-written query and the models decide the same about every candidate: two ways to one answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.eligibility import KINDS, measure, shown, summary

pytestmark = pytest.mark.slow


def test_the_floor_and_the_models_decide_the_same(tmp_path: Path) -> None:
    found = measure(tmp_path, contacts=300, repeats=1, seed=7, is_net=False, say=lambda _: None)

    assert set(found["decided"]) == set(KINDS)
    assert all(count > 30 for count in found["decided"].values())
    assert len(shown(summary(found)).splitlines()) == 2 + len(KINDS)
