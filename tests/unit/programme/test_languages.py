"""A person reads the language that is nearest to theirs; each text that it lacks comes from the next one."""

from __future__ import annotations

import pytest

from closedloop.programme import stored_survey
from closedloop.programme.languages import direction, lookup, translated
from tests.support.asking_more import asking_more


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("de", "de"),
        ("DE", "de"),
        ("de-AT", "de"),
        ("de_AT", "de"),
        ("de_AT.UTF-8", "de"),
        ("de-ch", "de-CH"),
        ("de-CH-1996", "de-CH"),
        ("pt_BR", "pt-BR"),
        ("pt-PT", None),
        ("pt", None),
        ("den", None),
        ("Deutsch", None),
        ("-", None),
        ("", None),
        (None, None),
    ],
)
def test_the_nearest_language(wanted: str | None, found: str | None) -> None:
    assert lookup(wanted, ["de", "de-CH", "pt-BR", "en"]) == found


@pytest.mark.parametrize(
    ("wanted", "language", "text", "low", "high"),
    [
        (None, "en", "How likely", "Not at all likely", "Extremely likely"),
        ("en-GB", "en", "How likely", "Not at all likely", "Extremely likely"),
        ("fr", "en", "How likely", "Not at all likely", "Extremely likely"),
        ("de", "de", "Würden Sie", "Nein", "Extremely likely"),
        ("de_AT", "de", "Würden Sie", "Nein", "Extremely likely"),
        ("de-CH", "de-CH", "Würden Sie", "Nein", "Sicher"),
        ("ar", "ar", "هل توصي بنا؟", "Not at all likely", "Extremely likely"),
    ],
)
def test_every_text_falls_back_on_its_own(wanted, language, text, low, high) -> None:
    spoken = stored_survey(translated(asking_more().model_dump(mode="json"), wanted))
    assert (spoken.language, spoken.languages) == (language, {})
    assert spoken.question.text.startswith(text)
    assert (spoken.question.low_label, spoken.question.high_label) == (low, high)


def test_questions_and_choices_too_and_variants_have_words_of_their_own() -> None:
    spoken = stored_survey(translated(asking_more().model_dump(mode="json"), "de-CH"))
    assert [question.text for question in spoken.questions] == [
        "Was lief schief?",
        "Was lief gut?",
        "What would you change?",
    ]
    assert [choice.label for choice in spoken.questions[0].choices] == ["Der Preis", "The support"]
    assert [choice.label for choice in spoken.questions[1].choices] == ["Die Menschen", "The speed"]


@pytest.mark.parametrize(
    ("languages", "labels"),
    [
        # A fallback that is named goes before the primary language, and that goes before the programme's own.
        ({"de-AT": {}, "de": {"question": {"low_label": "de"}}}, "de"),
        (
            {
                "de-AT": {"fallback": "fr"},
                "de": {"question": {"low_label": "de"}},
                "fr": {"question": {"low_label": "fr"}},
            },
            "fr",
        ),
        # Each is checked for circles on its own; the primary language closes one here.
        ({"de-AT": {}, "de": {"fallback": "de-AT"}}, "Not at all likely"),
    ],
    ids=["primary", "named", "circle"],
)
def test_the_chain_of_fallbacks(languages, labels) -> None:
    definition = asking_more(languages=languages).model_dump(mode="json")
    assert translated(definition, "de-AT")["question"]["low_label"] == labels


def test_a_definition_from_before_there_were_languages() -> None:
    old = asking_more().model_dump(mode="json")
    for field in ("language", "languages", "questions"):
        del old[field]
    assert stored_survey(translated(old, "de")).question.low_label == "Not at all likely"


def test_nothing_of_the_definition_changes() -> None:
    definition = asking_more().model_dump(mode="json")
    translated(definition, "de")
    assert definition == asking_more().model_dump(mode="json")


@pytest.mark.parametrize(
    ("tag", "way"), [("ar", "rtl"), ("he-IL", "rtl"), ("fa", "rtl"), ("UR", "rtl"), ("de", "ltr"), ("arn", "ltr")]
)
def test_which_way_a_language_is_written(tag: str, way: str) -> None:
    assert direction(tag) == way
