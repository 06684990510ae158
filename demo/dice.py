"""Chance that can be repeated: one stream per topic, so that a change in one place moves nothing elsewhere."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from demo.columns import DAY, HOUR


@dataclass(frozen=True)
class Dice:
    """Streams of chance for one (seed, size)."""

    seed: int
    contacts: int

    def __call__(self, topic: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.contacts, zlib.crc32(topic.encode())])


def office_hours(moment: np.ndarray, chance: np.random.Generator, *, latest: int | None = None) -> np.ndarray:
    """The same days, but Monday to Friday and between 7:00 and 17:30 UTC; epoch seconds.

    A weekend becomes the Friday before. What would lie after `latest` is moved back by whole weeks.
    """
    day = moment // DAY
    weekday = (day + 3) % 7
    day = day - np.maximum(weekday - 4, 0)
    moved = day * DAY + 7 * HOUR + (chance.random(len(moment)) * 10.5 * HOUR).astype(np.int64)
    if latest is not None:
        moved -= np.maximum(-(-(moved - latest) // (7 * DAY)), 0) * 7 * DAY
    return moved


def pick(weights: Iterable[float], size: int, chance: np.random.Generator) -> np.ndarray:
    """`size` codes 0..k-1, each with its weight."""
    shares = np.cumsum(np.asarray(list(weights), float))
    return np.searchsorted(shares / shares[-1], chance.random(size), side="right")


def temperaments(seed: int, domains: Iterable[str]) -> np.ndarray:
    """How warm the people of a mail domain are, about -1.7..1.7 with standard deviation 1.

    From the domain's name alone, so that a simulated customer, who knows nothing but the mail, is in the same mood
    today as the company's history says.
    """
    scale = 2.0**64
    draws = [int.from_bytes(hashlib.md5(f"{seed}|{name}".encode()).digest()[:8], "big") / scale for name in domains]
    return (np.asarray(draws) - 0.5) * 12**0.5
