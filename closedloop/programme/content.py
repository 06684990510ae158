"""What people see of a programme: questions, thanks, colours, subject, and their translations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from closedloop.errors import BadInput
from closedloop.programme.rules import Band
from closedloop.programme.triggers import Part
from closedloop.texts import SAMPLE, fill


def _template(text: str) -> str:
    try:
        fill(text, {**SAMPLE, "company": "Sample Company"})
    except BadInput as error:
        raise ValueError(error.problem) from None
    return text


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or not url.isascii() or re.search(r"[\s\x00-\x1f\"'<>\\]", url):
        raise ValueError("must be a web address that begins with https://")
    return url


Text = Annotated[str, AfterValidator(_template)]
"""A text with variables such as {{ first_name }}; one that could not be filled is refused when the file is read."""
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
WebAddress = Annotated[str, AfterValidator(_address)]


class Question(Part):
    """The one question; `{{ company }}` in any text is replaced."""

    text: Text = "How likely are you to recommend {{ company }} to a colleague or friend?"
    low_label: Text = "Not at all likely"
    high_label: Text = "Extremely likely"


class PerBand(Part):
    """One text for each band of scores."""

    detractor: Text
    passive: Text
    promoter: Text

    def for_band(self, band: Band) -> str:
        return getattr(self, band.value)


class FollowUpQuestions(PerBand):
    """The open question that follows the score; what is answered is the response's comment."""

    detractor: Text = "What could we do to improve your experience?"
    passive: Text = "What would it take for you to rate us a 9 or 10?"
    promoter: Text = "What do you value most about working with us?"


class ThankYou(PerBand):
    """What the last page says."""

    detractor: Text = "Thank you for your honesty. Someone from our team will be in touch with you soon."
    passive: Text = "Thank you. Your answer helps us to get better."
    promoter: Text = "Thank you! We are glad that you enjoy working with us."


class Redirect(Part):
    """Where the last page leads, by band: promoters to a review site, say."""

    detractor: WebAddress | None = None
    passive: WebAddress | None = None
    promoter: WebAddress | None = None

    def for_band(self, band: Band) -> str | None:
        return getattr(self, band.value)


class Choice(Part):
    """One answer to choose; `id` is what is stored, `label` what people read."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")
    label: Text


class SurveyQuestion(Part):
    """A further question. Several with one `id` are variants of one question for different scores."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")
    kind: Literal["open", "choice"] = "open"
    text: Text
    choices: tuple[Choice, ...] = Field(default=(), max_length=30)
    several: bool = Field(default=False, description="more than one choice may be taken")
    scores: str = Field(default="0-10", description="such as '0-6' or '10'")

    @field_validator("scores", mode="before")
    @classmethod
    def _as_text(cls, scores: object) -> object:
        return str(scores) if isinstance(scores, int) and not isinstance(scores, bool) else scores

    @field_validator("scores")
    @classmethod
    def _in_range(cls, scores: str) -> str:
        match = re.fullmatch(r"(\d{1,2})(?:-(\d{1,2}))?", scores)
        if not match or not 0 <= int(match[1]) <= int(match[2] or match[1]) <= 10:
            raise ValueError(f"'{scores}' is no range of scores; write it as '0-6' or '10'")
        return scores

    @field_validator("id")
    @classmethod
    def _not_taken(cls, name: str) -> str:
        if name in ("score", "comment", "input", "visible_ms"):
            raise ValueError(f"'{name}' is the name of a field of the page; choose another id")
        return name

    @model_validator(mode="after")
    def _choices_fit(self) -> SurveyQuestion:
        if (self.kind == "choice") != bool(self.choices):
            raise ValueError("a question of kind 'choice' needs `choices`, an open one has none")
        if self.several and self.kind == "open":
            raise ValueError("`several` is for questions of kind 'choice'")
        if len({choice.id for choice in self.choices}) < len(self.choices):
            raise ValueError("two choices have the same id")
        return self

    @property
    def for_scores(self) -> range:
        """The scores after which it is asked."""
        first, _, last = self.scores.partition("-")
        return range(int(first), int(last or first) + 1)


class QuestionTranslation(Part):
    text: Text | None = None
    choices: dict[str, Text] = {}


class Labels(Part):
    text: Text | None = None
    low_label: Text | None = None
    high_label: Text | None = None


class BandTexts(Part):
    detractor: Text | None = None
    passive: Text | None = None
    promoter: Text | None = None


class EmailTexts(Part):
    subject: Text | None = None


class Translation(Part):
    """The texts in another language; what is missing is taken from `fallback`, in the end from the survey's own texts."""

    fallback: str | None = None
    question: Labels = Labels()
    follow_up_questions: BandTexts = BandTexts()
    thank_you: BandTexts = BandTexts()
    email: EmailTexts = EmailTexts()
    questions: dict[str, QuestionTranslation] = Field(default={}, description="by the question's id")


class Branding(Part):
    """Colours and logo of mail and page."""

    logo_url: str | None = None
    primary_colour: Colour = "#1f4ed8"
    background_colour: Colour = "#f5f6f8"


class Email(Part):
    """Subject and sender of the invitation. `rep` sends in the account owner's name, replies go to that person."""

    subject: Text = "{{ first_name }}, one short question from {{ company }}"
    sender: Literal["shared", "rep"] = "shared"


def questions_for(questions: tuple[SurveyQuestion, ...], score: int) -> Iterator[SurveyQuestion]:
    """The further questions that follow this score, in the order of the file."""
    return (question for question in questions if score in question.for_scores)
