"""What people see of a programme: questions, thanks, colours, subject, and their translations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from closedloop.errors import BadInput
from closedloop.programme.rules import Band
from closedloop.programme.triggers import Part
from closedloop.texts import SAMPLE, fill
from closedloop.webaddress import is_web_address
from closedloop.yamlfile import Fault


def _template(text: str) -> str:
    try:
        fill(text, {**SAMPLE, "company": "Sample Company"})
    except BadInput as error:
        raise ValueError(error.problem) from None
    return text


def _address(url: str) -> str:
    if not is_web_address(url):
        raise ValueError("must be a web address that begins with https://")
    return url


Text = Annotated[str, AfterValidator(_template)]
"""A text with variables such as {{ first_name }}; one that could not be filled is refused when the file is read."""
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]
WebAddress = Annotated[str, AfterValidator(_address), Field(json_schema_extra={"pattern": "^https://"})]


def scores_in(text: str) -> range:
    """The scores of a range such as '0-6' or '10'. Raises ValueError for what is none."""
    match = re.fullmatch(r"([0-9]{1,2})(?:-([0-9]{1,2}))?", text)
    if not match or not 0 <= int(match[1]) <= int(match[2] or match[1]) <= 10:
        raise ValueError(f"'{text}' is no range of scores; write it as '0-6' or '10'")
    return range(int(match[1]), int(match[2] or match[1]) + 1)


def _scores(given: object) -> object:
    """YAML reads `10` as a number."""
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


def _range(text: str) -> str:
    scores_in(text)
    return text


Scores = Annotated[
    str,
    BeforeValidator(_scores),
    AfterValidator(_range),
    Field(json_schema_extra={"type": ["string", "integer"]}),
]
"""A range of scores such as '0-6' or '10'."""


class Question(Part):
    """The one question; `{{ company }}` in any text is replaced."""

    text: Text = "How likely are you to recommend {{ company }} to a colleague or friend?"
    """The question itself."""
    low_label: Text = "Not at all likely"
    """What 0 means."""
    high_label: Text = "Extremely likely"
    """What 10 means."""


class PerBand(Part):
    """One text for each band of scores."""

    detractor: Text
    """For scores from 0 to 6."""
    passive: Text
    """For 7 and 8."""
    promoter: Text
    """For 9 and 10."""

    def for_band(self, band: Band) -> str:
        return getattr(self, band.value)


class FollowUpQuestions(PerBand):
    """The open question that follows the score; what is answered is the response's comment."""

    detractor: Text = "What could we do to improve your experience?"
    """After a score from 0 to 6."""
    passive: Text = "What would it take for you to rate us a 9 or 10?"
    """After a 7 or 8."""
    promoter: Text = "What do you value most about working with us?"
    """After a 9 or 10."""


class ThankYou(PerBand):
    """What the last page says."""

    detractor: Text = "Thank you for your honesty. Someone from our team will be in touch with you soon."
    """After a score from 0 to 6."""
    passive: Text = "Thank you. Your answer helps us to get better."
    """After a 7 or 8."""
    promoter: Text = "Thank you! We are glad that you enjoy working with us."
    """After a 9 or 10."""


class Redirect(Part):
    """Where the last page leads, by band: promoters to a review site, say."""

    detractor: WebAddress | None = None
    """After a score from 0 to 6."""
    passive: WebAddress | None = None
    """After a 7 or 8."""
    promoter: WebAddress | None = None
    """After a 9 or 10."""

    def for_band(self, band: Band) -> str | None:
        return getattr(self, band.value)


class Choice(Part):
    """One answer to choose."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,40}$")
    """What is stored; never change it once answers hold it."""
    label: Text
    """What people read."""


class SurveyQuestion(Part):
    """A further question. Several with one `id` are variants of one question for different scores."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,40}$")
    """The name under which answers are stored."""
    kind: Literal["open", "choice"] = "open"
    """Words of one's own, or choices."""
    text: Text
    """The question itself."""
    choices: tuple[Choice, ...] = Field(default=(), max_length=30)
    """What there is to choose, in this order."""
    several: bool = False
    """Whether more than one choice may be taken."""
    scores: Scores = "0-10"
    """The scores after which it is asked, such as '0-6' or '10'."""

    @field_validator("id")
    @classmethod
    def _not_taken(cls, name: str) -> str:
        if name in ("score", "comment", "input", "visible_ms"):
            raise ValueError(f"'{name}' is the name of a field of the page; choose another id")
        return name

    @model_validator(mode="after")
    def _choices_fit(self) -> SurveyQuestion:
        if (self.kind == "choice") != bool(self.choices):
            raise Fault("a question of kind 'choice' needs `choices`, an open one has none", "choices")
        if self.several and self.kind == "open":
            raise Fault("`several` is for questions of kind 'choice'", "several")
        ids = [choice.id for choice in self.choices]
        for place, name in enumerate(ids):
            if name in ids[:place]:
                raise Fault(f"two choices have the id '{name}'", "choices", place, "id", remedy="rename one of them")
        return self

    @property
    def for_scores(self) -> range:
        """The scores after which it is asked."""
        return scores_in(self.scores)


class QuestionTranslation(Part):
    """A further question in another language."""

    text: Text | None = None
    """The question itself."""
    choices: dict[str, Text] = {}
    """What people read of each choice, by the choice's id."""


class Labels(Part):
    """The one question in another language."""

    text: Text | None = None
    """The question itself."""
    low_label: Text | None = None
    """What 0 means."""
    high_label: Text | None = None
    """What 10 means."""


class BandTexts(Part):
    """One text for each band of scores, in another language."""

    detractor: Text | None = None
    """For scores from 0 to 6."""
    passive: Text | None = None
    """For 7 and 8."""
    promoter: Text | None = None
    """For 9 and 10."""


class EmailTexts(Part):
    """The mail in another language."""

    subject: Text | None = None
    """The subject line."""


class PreferencesTexts(Part):
    """The survey on the preference page, in another language."""

    title: Text | None = None
    """What the survey is called there."""


class Translation(Part):
    """The texts in another language; what is missing is taken from `fallback`, in the end from the survey's own texts."""

    fallback: str | None = None
    """The language that stands in where a text is missing here. Default: `de` for `de-AT` if it is here, else the survey's own."""
    question: Labels = Labels()
    """The one question and the ends of its scale."""
    follow_up_questions: BandTexts = BandTexts()
    """The open question that follows the score."""
    thank_you: BandTexts = BandTexts()
    """What the last page says."""
    email: EmailTexts = EmailTexts()
    """The mail's subject."""
    preferences: PreferencesTexts = PreferencesTexts()
    """What it is called on the preference page."""
    questions: dict[str, QuestionTranslation] = {}
    """The further questions, by their ids; `id:scores`, such as `reason:0-6`, is one variant."""


class Branding(Part):
    """Colours and logo of mail and page."""

    logo_url: str | None = None
    """The web address of a logo; what is no web address is not shown."""
    primary_colour: Colour = "#1f4ed8"
    """The colour of buttons and progress, as #rrggbb."""
    background_colour: Colour = "#f5f6f8"
    """The colour behind mail and page, as #rrggbb."""


class Email(Part):
    """Subject and sender of the invitation."""

    subject: Text = "{{ first_name }}, one short question from {{ company }}"
    """The subject line."""
    sender: Literal["shared", "rep"] = "shared"
    """`shared`: the team's address; `rep`: in the account owner's name, and replies go to that person."""


class Preferences(Part):
    """The survey on the page where people choose what they get."""

    title: Text | None = None
    """What the survey is called there, such as 'After a purchase'. Default: its name."""


def questions_for(questions: tuple[SurveyQuestion, ...], score: int) -> Iterator[SurveyQuestion]:
    """The further questions that follow this score, in the order of the file."""
    return (question for question in questions if score in question.for_scores)
