"""Whatever colours a brand has, what stands on them can be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedloop.colours import CARD, DARK_CARD, contrast, palette, readable_on

COLOURS = st.integers(min_value=0, max_value=0xFFFFFF).map("#{:06x}".format)


def test_known_ratios() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the example that WCAG's techniques name
    assert (readable_on("#ffdd00"), readable_on("#1f4ed8")) == ("#000000", "#ffffff")


@given(COLOURS, COLOURS)
def test_every_brand_is_readable(primary: str, background: str) -> None:
    colours = palette(primary, background)
    assert contrast(colours.on_primary, colours.primary) >= 4.5
    assert contrast(colours.on_dark_primary, colours.dark_primary) >= 4.5
    assert contrast(colours.on_background, colours.background) >= 4.5
    assert contrast(colours.accent, CARD) >= 4.5
    assert contrast(colours.dark_accent, DARK_CARD) >= 4.5
    assert contrast(colours.edge, CARD) >= 3
    assert contrast(colours.dark_primary, DARK_CARD) >= 3
