"""Whatever the house says, it can say in every language it speaks."""

from __future__ import annotations

import re

import pytest

from closedloop.phrases import LANGUAGES, phrases, phrases_in, read_phrases
from closedloop.programme import TriggerEvent


def blanks(texts: dict[str, str]) -> dict[str, set[str]]:
    return {name: set(re.findall(r"\{(\w*)\}", text)) for name, text in texts.items()}


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_no_language_lacks_or_invents_a_phrase(language: str) -> None:
    own = read_phrases(language)
    assert blanks(own) == blanks(read_phrases("en"))
    assert all(text.strip() == text != "" for text in own.values())


@pytest.mark.parametrize("event", list(TriggerEvent))
def test_every_event_says_why_somebody_gets_the_mail(event: TriggerEvent) -> None:
    for language in LANGUAGES:
        assert f"reasons.{event}" in phrases_in(language)


def test_the_first_language_that_there_are_words_in() -> None:
    assert phrases("pt_BR").language == "pt"
    assert phrases("ko", None, "ja-JP", "de").language == "ja"
    assert phrases("ko").language == phrases().language == "en"


def test_what_is_filled_in_is_never_a_template() -> None:
    assert phrases("en")("mail.greeting", first_name="{0.__class__}") == "Hello {0.__class__},"
