"""Which language a person reads, and a programme's texts in it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

RIGHT_TO_LEFT = frozenset({"ar", "fa", "he", "ur"})
_SECTIONS = ("question", "follow_up_questions", "thank_you", "email", "preferences")

Definition = Mapping[str, Any]
"""A programme as it is stored with a message: the JSON form of a Survey."""


def direction(tag: str) -> str:
    """'rtl' for languages that are written from right to left, else 'ltr': the `dir` of a page."""
    return "rtl" if tag.partition("-")[0].lower() in RIGHT_TO_LEFT else "ltr"


def lookup(wanted: str | None, known: Collection[str]) -> str | None:
    """Of the tags in `known` the one that serves `wanted` best, or None: 'de-AT', then 'de' (RFC 4647, lookup).

    Takes what CRMs hold, too: 'pt_BR', 'DE', 'de_DE.UTF-8'.
    """
    by_name = {tag.lower(): tag for tag in known}
    tag = (wanted or "").partition(".")[0].strip().replace("_", "-").lower()
    while tag and tag not in by_name:
        tag = tag.rpartition("-")[0]
    return by_name.get(tag)


def translated(definition: Definition, language: str | None) -> Definition:
    """The programme in the words for a person of this language: all texts resolved, `language` the one that was found.

    Each text that a translation lacks is taken from the next one of its chain of fallbacks, in the end from the
    programme's own texts. The result has no `languages` any more.
    """
    own, translations = definition.get("language") or "en", definition.get("languages") or {}
    found = lookup(language, [own, *translations]) or own
    spoken = {**definition, "language": found, "languages": {}}
    for tag in reversed([*_chain(found, own, translations)]):
        _say(spoken, translations[tag])
    return spoken


def _chain(tag: str | None, own: str, translations: Mapping[str, Any]) -> Iterator[str]:
    """The translations that serve `tag`, best first: itself, the fallback it names, without one its primary language."""
    seen = {own}
    while tag in translations and tag not in seen:
        yield tag
        seen.add(tag)
        tag = translations[tag].get("fallback") or lookup(tag.rpartition("-")[0], [own, *translations])


def _say(spoken: dict[str, Any], translation: Mapping[str, Any]) -> None:
    for section in _SECTIONS:
        given = {name: text for name, text in translation.get(section, {}).items() if text is not None}
        spoken[section] = {**spoken.get(section, {}), **given}  # stored before there was such a section
    given = translation.get("questions") or {}
    spoken["questions"] = [
        # The words for a question serve all its variants; those for one variant go before them.
        _ask(_ask(question, given.get(question["id"], {})), given.get(f"{question['id']}:{question['scores']}", {}))
        for question in spoken.get("questions", ())
    ]


def _ask(question: Mapping[str, Any], translation: Mapping[str, Any]) -> dict[str, Any]:
    labels = translation.get("choices", {})
    choices = [{**choice, "label": labels.get(choice["id"], choice["label"])} for choice in question["choices"]]
    return {**question, "text": translation.get("text") or question["text"], "choices": choices}
