"""What a page posts is read strictly, and what a survey does not ask is no answer."""

from __future__ import annotations

import pytest

from ingestion.collector.forms import MAX_TEXT, BadField, field_of, fields_with, read_answer, read_answers
from tests.support.asking_more import asking_more

QUESTIONS = asking_more().questions


@pytest.mark.parametrize(
    ("score", "fields", "answers"),
    [
        (3, {}, {}),
        (3, {"reason:0-6": ["", "price"]}, {"reason": "price"}),
        (3, {"reason": ["price"]}, {"reason": "price"}),
        (3, {"reason:0-6": [""], "idea:0-10": [" \r\n"]}, {}),
        (9, {"reason:9-10": ["", "speed", "people", "speed"]}, {"reason": ["people", "speed"]}),
        (9, {"reason:9-10": ["people"]}, {"reason": ["people"]}),
        # The page holds all variants, and posts what was chosen before the score was changed.
        (9, {"reason:0-6": ["price"], "reason:9-10": ["speed"]}, {"reason": ["speed"]}),
        (8, {"reason:0-6": ["price"], "idea:0-10": ["More."]}, {"idea": "More."}),
        (8, {"reason:0-6": ["nonsense"], "reason": ["nonsense"]}, {}),
        (10, {"idea:0-10": ["a\r\nb\x00\x1b"]}, {"idea": "a\nb"}),
        (10, {"idea:0-10": ["語" * MAX_TEXT]}, {"idea": "語" * MAX_TEXT}),
        (3, {"idea:0-10": ["x"], "reason:0-6": ["support"]}, {"reason": "support", "idea": "x"}),
    ],
)
def test_answers_that_fit_the_score(score, fields, answers) -> None:
    read = read_answers(QUESTIONS, score, fields)
    assert (read, list(read)) == (answers, list(answers))


@pytest.mark.parametrize(
    ("fields", "field", "phrase"),
    [
        ({"nothing": ["x"]}, "answers", "problem.unknown_question"),
        ({"reason:0-7": ["price"]}, "answers", "problem.unknown_question"),
        ({"": ["x"]}, "answers", "problem.unknown_question"),
        ({"reason:0-6": ["cheap"]}, "reason:0-6", "problem.unknown_choice"),
        ({"reason:0-6": ["Price"]}, "reason:0-6", "problem.unknown_choice"),
        ({"reason": ["people"]}, "reason:0-6", "problem.unknown_choice"),
        ({"reason:0-6": ["price", "support"]}, "reason:0-6", "problem.one_choice"),
        ({"idea:0-10": ["x" * (MAX_TEXT + 1)]}, "idea:0-10", "problem.long_answer"),
    ],
)
def test_what_the_survey_does_not_have_is_refused(fields, field, phrase) -> None:
    with pytest.raises(BadField) as caught:
        read_answers(QUESTIONS, 3, fields)
    assert (caught.value.field, caught.value.phrase) == (field, phrase)
    assert "x" * 20 not in str(caught.value), "no words of a person in an error"


@pytest.mark.parametrize("score", range(11))
def test_what_stands_reads_back_as_itself(score) -> None:
    full = {field_of(question): [choice.id for choice in question.choices][:1] or ["words"] for question in QUESTIONS}
    answers = read_answers(QUESTIONS, score, full)
    assert read_answers(QUESTIONS, score, fields_with(QUESTIONS, score, answers)) == answers


def test_what_was_not_posted_is_not_taken_back() -> None:
    assert read_answer({"score": ["3"]}).comment is None
    assert read_answer({"score": ["3"], "comment": [" "]}).comment == ""
    assert read_answer({"score": ["3"], "input": ["human"], "idea": ["x"]}).fields == {"idea": ["x"]}


def test_words_stay_out_of_what_is_logged() -> None:
    assert "secret" not in repr(read_answer({"score": ["3"], "comment": ["secret"], "idea": ["secret"]}))
