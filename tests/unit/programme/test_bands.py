from __future__ import annotations

import pytest

from closedloop.programme import band_of


@pytest.mark.parametrize(
    ("score", "band"),
    [(s, "detractor") for s in range(7)] + [(7, "passive"), (8, "passive"), (9, "promoter"), (10, "promoter")],
)
def test_band_of_every_score(score: int, band: str) -> None:
    assert band_of(score) == band


@pytest.mark.parametrize("score", [-1, 11])
def test_what_is_no_score_has_no_band(score: int) -> None:
    with pytest.raises(ValueError, match="0 to 10"):
        band_of(score)
