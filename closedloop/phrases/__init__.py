"""The house's own words around a programme's texts, by language: one file each, English where a phrase or language is missing.

A programme's texts belong to its analyst (`surveys/`); what buttons, footers and notices say belongs here.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from closedloop.programme.languages import lookup

_FOLDER = Path(__file__).parent
LANGUAGES = frozenset(path.stem for path in _FOLDER.glob("*.yml"))
FALLBACK = "en"


class Phrases:
    """The phrases of one language; `say("mail.greeting", first_name="Ada")`. What is filled in is plain text, never markup."""

    def __init__(self, language: str) -> None:
        self.language = language
        self._texts = read_phrases(FALLBACK) | read_phrases(language)

    def __call__(self, phrase: str, /, **values: object) -> str:
        return self._texts[phrase].format_map(values)

    def __contains__(self, name: str) -> bool:
        return name in self._texts

    def section(self, name: str) -> dict[str, str]:
        """All phrases under a name, by the rest of their names, unfilled."""
        start = f"{name}."
        return {key.removeprefix(start): text for key, text in self._texts.items() if key.startswith(start)}


@cache
def phrases_in(language: str) -> Phrases:
    """The phrases of one of LANGUAGES."""
    return Phrases(language)


def phrases(*languages: str | None) -> Phrases:
    """The phrases for the first of `languages` that there are words in, else English."""
    return phrases_in(next(filter(None, (lookup(one, LANGUAGES) for one in languages)), FALLBACK))


@cache
def read_phrases(language: str) -> dict[str, str]:
    """What the file of a language holds, by name, without what English adds."""
    return dict(_flat(yaml.safe_load((_FOLDER / f"{language}.yml").read_text(encoding="utf-8"))))


def _flat(part: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every phrase under its whole name: `mail.greeting`; those of a list are numbered from 1."""
    if isinstance(part, str):
        yield name, part
        return
    for key, value in part.items() if isinstance(part, dict) else enumerate(part, 1):
        yield from _flat(value, f"{name}.{key}" if name else str(key))
