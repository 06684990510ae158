"""Colours that can be read: what stands on a brand colour is computed from WCAG 2.2 contrast, never guessed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

CARD, INK, MUTED = "#ffffff", "#1a1d24", "#565c69"
DARK_PAGE, DARK_CARD, DARK_INK, DARK_MUTED = "#111318", "#1c1f27", "#f0f1f4", "#a9afbd"
TEXT_CONTRAST, SHAPE_CONTRAST = 4.5, 3.0
"""WCAG 2.2 success criteria 1.4.3 (text) and 1.4.11 (shapes)."""


def luminance(colour: str) -> float:
    """Relative luminance of '#rrggbb', 0 (black) to 1 (white), as WCAG 2.2 defines it."""
    linear = [
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 (equal) to 21."""
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def readable_on(background: str) -> str:
    """Black or white, whichever reads better on `background`; the ratio is never under 4.5."""
    return max("#ffffff", "#000000", key=lambda text: contrast(text, background))


def mix(colour: str, other: str, share: float) -> str:
    """`colour` with `share` (0..1) of `other` in it."""
    parts = ((int(colour[at : at + 2], 16), int(other[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in parts)


def visible_on(colour: str, background: str, ratio: float) -> str:
    """`colour` if it stands out from `background` by `ratio`, else the nearest shade of it that does."""
    target = readable_on(background)
    shades = (mix(colour, target, step / 20) for step in range(21))
    return next((shade for shade in shades if contrast(shade, background) >= ratio), target)


@dataclass(frozen=True, slots=True)
class Palette:
    """What mail and page paint with, all '#rrggbb'. `edge` outlines a button whose fill is too pale for the card."""

    primary: str
    on_primary: str
    edge: str
    accent: str
    background: str
    on_background: str
    dark_primary: str
    on_dark_primary: str
    dark_accent: str


@lru_cache(maxsize=256)
def palette(primary: str, background: str) -> Palette:
    """The colours of a brand, in light and dark."""
    primary, background = primary.lower(), background.lower()
    dark_primary = visible_on(primary, DARK_CARD, SHAPE_CONTRAST)
    return Palette(
        primary=primary,
        on_primary=readable_on(primary),
        edge=visible_on(primary, CARD, SHAPE_CONTRAST),
        accent=visible_on(primary, CARD, TEXT_CONTRAST),
        background=background,
        on_background=visible_on(mix(readable_on(background), background, 0.4), background, TEXT_CONTRAST),
        dark_primary=dark_primary,
        on_dark_primary=readable_on(dark_primary),
        dark_accent=visible_on(primary, DARK_CARD, TEXT_CONTRAST),
    )
