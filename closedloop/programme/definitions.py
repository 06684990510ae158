"""A survey programme as a typed definition: the one file of an analyst that says who is asked what, when, and what follows."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, computed_field, field_validator, model_validator

from closedloop.programme.content import (
    Branding,
    Colour,
    Email,
    FollowUpQuestions,
    PerBand,
    Question,
    Redirect,
    SurveyQuestion,
    Text,
    ThankYou,
    Translation,
)
from closedloop.programme.filters import parse_filter
from closedloop.programme.triggers import DatesTrigger, Part, Trigger

__all__ = ["Branding", "Colour", "Email", "PerBand", "Question", "Survey", "Text", "Translation", "stored_survey"]


class Cooldown(Part):
    """Days that must lie between two invitations to one person. `global` counts every survey, `family` those of the same
    `family`, `survey` only this one. Reminders never count."""

    days: int = Field(default=90, ge=0, le=3650)
    scope: Literal["global", "family", "survey"] = "global"


class Audience(Part):
    """Whom the survey may reach; an empty filter means everyone."""

    where: str = Field(
        default="", description="such as: account.tier in ['Enterprise'] and contact.role = 'Decision Maker'"
    )

    @field_validator("where")
    @classmethod
    def _readable(cls, where: str) -> str:
        parse_filter(where)
        return where

    @computed_field  # type: ignore[prop-decorator]
    @property
    def clauses(self) -> list[list[dict[str, object]]]:
        """The filter as the models read it."""
        return [[condition.as_row() for condition in clause] for clause in parse_filter(self.where)]


def _time_of_day(text: str) -> str:
    if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text):
        raise ValueError(f"'{text}' is no time of day; write it as '09:00', in quotes")
    return text


def zone(name: str) -> str:
    """A time zone of the IANA database. Raises ValueError for one that does not exist."""
    if name not in available_timezones():
        raise ValueError(f"there is no time zone '{name}'; write one such as 'Europe/Berlin'")
    return name


Zone = Annotated[str, AfterValidator(zone)]
TimeOfDay = Annotated[str, AfterValidator(_time_of_day)]
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class BusinessHours(Part):
    """When the recipient may get mail, in the recipient's own time zone."""

    opens: TimeOfDay = "09:00"
    closes: TimeOfDay = "17:00"
    days: tuple[Literal[WEEKDAYS], ...] = Field(default=("mon", "tue", "wed", "thu", "fri"), min_length=1)  # type: ignore[valid-type]
    holidays: tuple[dt.date, ...] = Field(default=(), max_length=200)
    time_zone: Zone = Field(default="UTC", description="for contacts whose zone the CRM does not know")

    @model_validator(mode="after")
    def _open_at_all(self) -> BusinessHours:
        if self.opens >= self.closes:
            raise ValueError(f"it opens at {self.opens} and closes at {self.closes}: nobody could ever be asked")
        return self


class Wave(Part):
    """An audience that is due at once is spread over days, each contact on a day of its own that never changes."""

    spread_days: int = Field(ge=2, le=90)


class Sample(Part):
    """Ask as few of the audience of a fixed date as give each segment an interval of this half width (95 %)."""

    by: Literal[
        "account.tier",
        "account.industry",
        "account.segment",
        "account.region",
        "account.plan",
        "contact.role",
        "contact.language",
    ] = "account.tier"
    half_width: float = Field(default=10, gt=0, le=100, description="points of NPS")
    seed: int = Field(default=1, ge=0, description="another number draws another sample")
    response_rate: float = Field(
        default=0.2, gt=0, le=1, description="expected, for segments that were sent fewer than 100 surveys so far"
    )


class AccountCap(Part):
    """At most so many invitations to one account within so many days, by any survey."""

    invitations: int = Field(ge=1, le=1000)
    days: int = Field(default=30, ge=1, le=365)


class Reminders(Part):
    """Who has not answered so many days after the invitation is reminded; it stops at once with an answer, an
    unsubscribe, a bounce, a pause, or the end of the link."""

    after_days: tuple[Annotated[int, Field(ge=1, le=60)], ...] = Field(default=(), max_length=3)

    @field_validator("after_days")
    @classmethod
    def _one_after_the_other(cls, days: tuple[int, ...]) -> tuple[int, ...]:
        if list(days) != sorted(set(days)):
            raise ValueError("the days must grow, such as [3, 7]")
        return days


class FollowUp(Part):
    """Who answers a detractor, and how fast. Hours are calendar hours from the answer."""

    assignment: Literal["account_owner", "customer_success_manager"] = "account_owner"
    manager_up_to_score: int = Field(default=-1, ge=-1, le=6, description="manager takes over; -1: never")
    copy_manager_up_to_score: int = Field(default=4, ge=-1, le=6)
    acknowledge_hours: int = Field(default=24, ge=1)
    sla_hours: int = Field(default=48, ge=1)

    @model_validator(mode="after")
    def _acknowledged_before_the_end(self) -> FollowUp:
        if self.acknowledge_hours > self.sla_hours:
            raise ValueError(
                f"acknowledge_hours ({self.acknowledge_hours}) is later than sla_hours ({self.sla_hours})"
            )
        return self


class Targets(Part):
    """What the programme wants to reach; `survey plan` warns where a sample is too small for it."""

    nps: float | None = Field(default=None, ge=-100, le=100)
    response_rate: float | None = Field(default=None, gt=0, le=1)
    half_width: float | None = Field(default=None, gt=0, le=100, description="of the 95 % interval, points of NPS")


class Survey(Part):
    """One survey programme; the file `surveys/<id>.yml` holds exactly one."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")
    name: str = Field(min_length=1, max_length=120)
    type: Literal["transactional", "relationship"]
    status: Literal["draft", "active", "paused"]
    company: str = Field(min_length=1, description="what {{ company }} stands for")
    in_headline: bool = True
    family: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]{0,62}$", description="surveys that share one")
    priority: int = Field(default=100, ge=0, description="the lower number is asked first")

    language: str = Field(default="en", pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", description="of the texts here")
    question: Question = Question()
    follow_up_questions: FollowUpQuestions = FollowUpQuestions()
    questions: tuple[SurveyQuestion, ...] = Field(default=(), max_length=20)
    thank_you: ThankYou = ThankYou()
    redirect: Redirect = Redirect()
    languages: dict[Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")], Translation] = {}
    branding: Branding = Branding()

    triggers: tuple[Trigger, ...] = Field(min_length=1, max_length=50)
    max_age_days: int = Field(default=14, ge=1, le=365)
    audience: Audience = Audience()
    cooldown: Cooldown = Cooldown()
    skip_after_response_days: int = Field(default=90, ge=0)
    account_cap: AccountCap | None = None
    business_hours: BusinessHours | None = None
    wave: Wave | None = None
    sample: Sample | None = None

    channels: tuple[Literal["email"], ...] = ("email",)
    email: Email = Email()
    reminders: Reminders = Reminders()
    link_valid_days: int = Field(default=60, ge=1, le=730)

    follow_up: FollowUp = FollowUp()
    targets: Targets = Targets()

    @field_validator("id")
    @classmethod
    def _not_all(cls, survey_id: str) -> str:
        if survey_id == "all":
            raise ValueError("'all' stands for all surveys in the reports; choose another id")
        return survey_id

    @field_validator("channels")
    @classmethod
    def _some_channel(cls, channels: tuple[str, ...]) -> tuple[str, ...]:
        if not channels:
            raise ValueError("no active channel: the survey would reach nobody; name at least `email`")
        return tuple(dict.fromkeys(channels))

    @field_validator("triggers")
    @classmethod
    def _one_trigger_per_occasion(cls, triggers: tuple[Trigger, ...]) -> tuple[Trigger, ...]:
        if len({(trigger.event, trigger.key) for trigger in triggers}) < len(triggers):
            raise ValueError("two triggers name the same event; a contact would be due twice for one record")
        return triggers

    @field_validator("questions")
    @classmethod
    def _no_overlap(cls, questions: tuple[SurveyQuestion, ...]) -> tuple[SurveyQuestion, ...]:
        asked: dict[tuple[str, int], SurveyQuestion] = {}
        for question in questions:
            for score in question.for_scores:
                if (question.id, score) in asked:
                    raise ValueError(f"the question '{question.id}' stands twice for the score {score}: bands overlap")
                asked[question.id, score] = question
        return questions

    @model_validator(mode="after")
    def _consistent(self) -> Survey:
        for place, trigger in enumerate(self.triggers):
            limit = trigger.max_age_days or self.max_age_days
            if trigger.delay_days > limit:
                raise ValueError(
                    f"trigger {place + 1} ({trigger.event}) waits {trigger.delay_days} days, longer than max_age_days "
                    f"({limit}): shorten delay_days or lengthen max_age_days"
                )
            if self.wave and self.wave.spread_days > limit:
                raise ValueError(
                    f"wave.spread_days ({self.wave.spread_days}) is longer than max_age_days ({limit}): the last days of "
                    "the wave would never be asked"
                )
        if self.sample and not all(isinstance(trigger, DatesTrigger) for trigger in self.triggers):
            raise ValueError(
                "a sample is drawn from an audience that is due on one date: all triggers must be fixed_dates"
            )
        if self.cooldown.scope == "family" and self.family is None:
            raise ValueError("cooldown.scope is 'family', but the survey has no `family`")
        if self.reminders.after_days and self.reminders.after_days[-1] >= self.link_valid_days:
            raise ValueError("the last reminder comes when the link has ended: lengthen link_valid_days")
        self._check_languages()
        return self

    def _check_languages(self) -> None:
        if self.language in self.languages:
            raise ValueError(f"'{self.language}' is the language of the texts above, and stands under languages too")
        for tag in self.languages:
            seen, at = [tag], tag
            while (at := self.fallback_of(at)) != self.language:
                if at in seen:
                    raise ValueError(f"the fallbacks of '{tag}' go in a circle: {' -> '.join([*seen, at])}")
                if at not in self.languages:
                    raise ValueError(f"'{seen[-1]}' falls back to '{at}', which is not under languages")
                seen.append(at)

    def fallback_of(self, tag: str) -> str:
        """The language that stands in where `tag` has no text: the one it names, else the survey's own."""
        translation = self.languages.get(tag)
        return (translation.fallback if translation else None) or self.language

    def max_age_of(self, trigger: Trigger) -> int:
        """Days after it was due until which an event of this trigger is asked about."""
        return trigger.max_age_days or self.max_age_days

    @property
    def definition(self) -> str:
        """The whole definition as canonical JSON."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @property
    def definition_hash(self) -> str:
        """SHA-256 of the canonical JSON: two files that mean the same have the same hash."""
        return hashlib.sha256(self.definition.encode()).hexdigest()


def stored_survey(definition: Mapping[str, Any]) -> Survey:
    """A definition that was stored with a message; fields that later versions dropped are ignored."""
    return Survey.model_validate(definition, extra="ignore")
