"""A survey programme as a typed definition: the one file of an analyst that says who is asked what, when, and what follows."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field, computed_field, field_validator, model_validator

from closedloop.programme.content import (
    Branding,
    Colour,
    Email,
    FollowUpQuestions,
    PerBand,
    Preferences,
    Question,
    Redirect,
    SurveyQuestion,
    Text,
    ThankYou,
    Translation,
)
from closedloop.programme.filters import parse_filter
from closedloop.programme.triggers import DatesTrigger, Part, Trigger
from closedloop.programme.workflows import MailSequence, Workflow, check_sequences
from closedloop.yamlfile import Fault

__all__ = ["Branding", "Colour", "Email", "PerBand", "Question", "Survey", "Text", "Translation", "stored_survey"]


LANGUAGE = r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$"


class Cooldown(Part):
    """Days that must lie between two invitations to one person. Reminders never count."""

    days: int = Field(default=90, ge=0, le=3650)
    """Whole days from the last invitation."""
    scope: Literal["global", "family", "survey"] = "global"
    """Which invitations count: `global`: of every survey, `family`: of those with the same `family`, `survey`: of this one."""


class Audience(Part):
    """Whom the survey may reach; an empty filter means everyone."""

    where: str = ""
    """A filter such as: account.tier in ['Enterprise'] and contact.role = 'Decision Maker'"""

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


TIME_OF_DAY = r"([01][0-9]|2[0-3]):[0-5][0-9]"


def _time_of_day(text: str) -> str:
    if not re.fullmatch(TIME_OF_DAY, text):
        raise ValueError(f"'{text}' is no time of day; write it as '09:00', in quotes")
    return text


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    """Read once: it is a walk through the time zone database's folders."""
    return frozenset(available_timezones())


def zone(name: str) -> str:
    """A time zone of the IANA database. Raises ValueError for one that does not exist."""
    if name not in _zones():
        near = difflib.get_close_matches(name, sorted(_zones()), n=1)
        raise ValueError(f"there is no time zone '{name}'; " + (f"did you mean '{near[0]}'?" if near else _A_ZONE))
    return name


_A_ZONE = "write one such as 'Europe/Berlin'"


Zone = Annotated[str, AfterValidator(zone)]
TimeOfDay = Annotated[str, AfterValidator(_time_of_day), Field(json_schema_extra={"pattern": f"^{TIME_OF_DAY}$"})]
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class BusinessHours(Part):
    """When the recipient may get mail, in the recipient's own time zone."""

    opens: TimeOfDay = "09:00"
    """From then on, in quotes."""
    closes: TimeOfDay = "17:00"
    """Until then, in quotes."""
    days: tuple[Literal[WEEKDAYS], ...] = Field(default=("mon", "tue", "wed", "thu", "fri"), min_length=1)  # type: ignore[valid-type]
    """The days of the week."""
    holidays: tuple[dt.date, ...] = Field(default=(), max_length=200)
    """Dates on which nobody is asked, such as 2026-12-25."""
    time_zone: Zone = "UTC"
    """The zone of contacts whose own the CRM does not know, such as Europe/Berlin."""

    @model_validator(mode="after")
    def _open_at_all(self) -> BusinessHours:
        if self.opens >= self.closes:
            raise Fault(
                f"it opens at {self.opens} and closes at {self.closes}: nobody could ever be asked",
                "closes",
                remedy="let it close later on the same day",
            )
        return self


class Wave(Part):
    """An audience that is due at once is spread over days, each contact on a day of its own that never changes."""

    spread_days: int = Field(ge=2, le=90)
    """Over so many days."""


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
    """The field whose values are the segments."""
    half_width: float = Field(default=10, gt=0, le=100)
    """Half the width of the interval, in points of NPS."""
    seed: int = Field(default=1, ge=0)
    """Another number draws another sample."""
    response_rate: float = Field(default=0.2, gt=0, le=1)
    """The share that is expected to answer, in segments that were sent fewer than 100 surveys so far."""


class AccountCap(Part):
    """At most so many invitations to one account within so many days, by any survey."""

    invitations: int = Field(ge=1, le=1000)
    """At most so many."""
    days: int = Field(default=30, ge=1, le=365)
    """Within so many days."""


class Reminders(Part):
    """Who has not answered so many days after the invitation is reminded; it stops at once with an answer, an
    unsubscribe, a bounce, a pause, or the end of the link."""

    after_days: tuple[Annotated[int, Field(ge=1, le=60)], ...] = Field(default=(), max_length=3)
    """Days after the invitation, such as [3, 7]; empty: no reminder."""

    @field_validator("after_days")
    @classmethod
    def _one_after_the_other(cls, days: tuple[int, ...]) -> tuple[int, ...]:
        if list(days) != sorted(set(days)):
            raise Fault("the days must grow", remedy="write them in order and once each, such as [3, 7]")
        return days


class TeamMember(Part):
    """Someone who follows up in turn with others."""

    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)
    """Where alerts go."""
    name: str = Field(default="", max_length=120)
    """What people call them."""
    id: str | None = Field(default=None, max_length=255)
    """The user in the CRM, who gets the task."""


class FollowUp(Part):
    """Who answers a detractor, and how fast. Both clocks start with the answer."""

    assignment: Literal["account_owner", "customer_success_manager", "round_robin"] = "account_owner"
    """Who takes care of a detractor; the owner where the account has no customer success manager; `round_robin`: the members
    of `team` in turn."""
    team: tuple[TeamMember, ...] = Field(default=(), max_length=100)
    """Who takes turns; whoever is away (`closedloop absence`) is passed over."""
    manager_up_to_score: int = Field(default=-1, ge=-1, le=6)
    """Up to this score the owner's manager takes over; -1: never."""
    copy_manager_up_to_score: int = Field(default=4, ge=-1, le=6)
    """Up to this score the owner's manager is in copy of the alert; -1: never."""
    acknowledge_hours: int = Field(default=24, ge=1, le=2000)
    """Hours until the first contact."""
    sla_hours: int = Field(default=48, ge=1, le=2000)
    """Hours until the promise is broken."""
    working_hours: BusinessHours | None = None
    """When the clocks run. Default: all the time."""
    warn_hours: int = Field(default=8, ge=0, le=500)
    """So many hours before the promise is broken, the one who follows up is warned; 0: never."""
    escalate: bool = True
    """Whether the manager is told when it is broken."""

    @model_validator(mode="after")
    def _acknowledged_before_the_end(self) -> FollowUp:
        if self.acknowledge_hours > self.sla_hours:
            raise Fault(
                f"acknowledge_hours ({self.acknowledge_hours}) is later than sla_hours ({self.sla_hours})",
                "acknowledge_hours",
                remedy="shorten it, or lengthen sla_hours",
            )
        return self

    @model_validator(mode="after")
    def _a_team_to_take_turns(self) -> FollowUp:
        if self.assignment == "round_robin" and not self.team:
            raise Fault("nobody to take turns", "team", remedy="name the members, each with an `email`")
        emails = [member.email.lower() for member in self.team]
        for place, email in enumerate(emails):
            if email in emails[:place]:
                raise Fault("stands twice in the team", "team", place, "email", remedy="remove one of the two")
        return self


class Targets(Part):
    """What the programme wants to reach; `survey plan` warns where a sample is too small for it."""

    nps: float | None = Field(default=None, ge=-100, le=100)
    """The NPS to reach."""
    response_rate: float | None = Field(default=None, gt=0, le=1)
    """The share that should answer, such as 0.25."""
    half_width: float | None = Field(default=None, gt=0, le=100)
    """Half the width that the 95 % interval may have, in points of NPS."""


class Survey(Part):
    """One survey programme; the file `surveys/<id>.yml` holds exactly one."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")
    """Lower case letters, digits and hyphens. Part of every key: never change it."""
    name: str = Field(min_length=1, max_length=120)
    """What people call it."""
    type: Literal["transactional", "relationship"]
    """`transactional`: about an event, `relationship`: about the whole. The two are never pooled into one NPS."""
    status: Literal["draft", "active", "paused"]
    """Only `active` asks and sends; `paused` keeps planned messages waiting; `draft` proposes nothing."""
    company: str = Field(min_length=1)
    """What {{ company }} stands for in every text."""
    in_headline: bool = True
    """Whether answers count in the figures over all surveys."""
    family: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")
    """Surveys that name the same family can share a cooldown."""
    priority: int = Field(default=100, ge=0)
    """Where one person is due for several surveys at once, the one with the lowest number is asked."""

    language: str = Field(default="en", pattern=LANGUAGE)
    """The language of the texts here, such as en or pt-BR."""
    question: Question = Question()
    """The one question."""
    follow_up_questions: FollowUpQuestions = FollowUpQuestions()
    """The open question that follows the score."""
    questions: tuple[SurveyQuestion, ...] = Field(default=(), max_length=20)
    """Further questions, in this order. Each one costs answers."""
    thank_you: ThankYou = ThankYou()
    """How people are thanked, by band."""
    redirect: Redirect = Redirect()
    """Where the last page leads."""
    languages: dict[Annotated[str, Field(pattern=LANGUAGE)], Translation] = {}
    """The texts in other languages, by language; each contact gets its own where it is here."""
    branding: Branding = Branding()
    """Logo and colours."""

    triggers: tuple[Trigger, ...] = Field(default=(), max_length=50)
    """What makes a contact due; any of them does. Only a survey that asks nobody by itself (`channels: [web_form]`) has none."""
    max_age_days: int = Field(default=14, ge=1, le=365)
    """So many days after it was due nobody is asked about an event any more."""
    audience: Audience = Audience()
    """Whom the survey may reach."""
    cooldown: Cooldown = Cooldown()
    """How long after an invitation nobody is asked again."""
    skip_after_response_days: int = Field(default=90, ge=0)
    """How many days after an answer to any survey nobody is asked."""
    account_cap: AccountCap | None = None
    """How many people of one account may be asked. Default: any number."""
    business_hours: BusinessHours | None = None
    """When mail may arrive. Default: at any time."""
    wave: Wave | None = None
    """Spreads an audience that is due at once. Default: all at once."""
    sample: Sample | None = None
    """Asks only a part of the audience. Default: everyone."""

    channels: tuple[Literal["email", "sms", "link", "in_app", "portal", "web_form"], ...] = ("email",)
    """Where people are asked; the first place that reaches them counts. A mail goes out only with `email`; with `sms` in its
    place it is a text message, with `link` the company hands the personal links out by itself. `web_form` is a form for anyone, on the website."""
    email: Email = Email()
    """The invitation's subject and sender."""
    preferences: Preferences = Preferences()
    """How people find it on the page where they choose what they get."""
    reminders: Reminders = Reminders()
    """Who does not answer is reminded."""
    link_valid_days: int = Field(default=60, ge=1, le=730)
    """How many days the links of a mail work."""

    follow_up: FollowUp = FollowUp()
    """Who answers a detractor, and how fast."""
    workflows: tuple[Workflow, ...] = Field(default=(), max_length=30)
    """What follows an answer, beside or in place of the standard workflows."""
    sequences: tuple[MailSequence, ...] = Field(default=(), max_length=10)
    """Mails in a row, such as to win somebody back."""
    targets: Targets = Targets()
    """What the programme wants to reach."""

    @field_validator("id")
    @classmethod
    def _not_all(cls, survey_id: str) -> str:
        if survey_id == "all":
            raise Fault("'all' stands for all surveys in the reports", remedy="choose another id")
        return survey_id

    @field_validator("channels")
    @classmethod
    def _some_channel(cls, channels: tuple[str, ...]) -> tuple[str, ...]:
        if not channels:
            raise Fault("no active channel: the survey would reach nobody", remedy="name at least one, such as [email]")
        if len({"email", "sms", "link"} & set(channels)) > 1:
            raise Fault(
                "one way out only: a mail, a text message, or links that the company hands out",
                remedy="keep one of `email`, `sms` and `link`",
            )
        return tuple(dict.fromkeys(channels))

    @field_validator("triggers")
    @classmethod
    def _one_trigger_per_occasion(cls, triggers: tuple[Trigger, ...]) -> tuple[Trigger, ...]:
        seen: set[tuple[str, str]] = set()
        for place, trigger in enumerate(triggers):
            if (trigger.event, trigger.key) in seen:
                raise Fault(
                    f"a second trigger names the same event ({trigger.event}): a contact would be due twice for one record",
                    place,
                    "event",
                    remedy="remove one of the two, or give it other parameters",
                )
            seen.add((trigger.event, trigger.key))
        return triggers

    @field_validator("questions")
    @classmethod
    def _no_overlap(cls, questions: tuple[SurveyQuestion, ...]) -> tuple[SurveyQuestion, ...]:
        asked: set[tuple[str, int]] = set()
        for place, question in enumerate(questions):
            for score in question.for_scores:
                if (question.id, score) in asked:
                    raise Fault(
                        f"the question '{question.id}' stands twice for the score {score}: bands overlap",
                        place,
                        "scores" if "scores" in question.model_fields_set else "id",
                        remedy="let each variant have its own scores, or another id",
                    )
            asked.update((question.id, score) for score in question.for_scores)
        return questions

    @model_validator(mode="after")
    def _consistent(self) -> Survey:
        asks = set(self.channels) - {"web_form"}
        if asks and not self.triggers:
            raise Fault("no trigger: nobody would ever be due", "triggers", remedy="name at least one event")
        if self.triggers and not asks:
            raise Fault(
                "a form on the website waits for visitors, and these triggers would ask nobody",
                "triggers",
                remedy="take them out, or add a channel on which people are asked, such as `email`",
            )
        for place, trigger in enumerate(self.triggers):
            limit = self.max_age_of(trigger)
            if trigger.delay_days > limit:
                raise Fault(
                    f"{trigger.event} waits {trigger.delay_days} days, longer than max_age_days ({limit})",
                    *("triggers", place, "delay_days"),
                    remedy="shorten delay_days or lengthen max_age_days",
                )
            if self.wave and self.wave.spread_days > limit:
                raise Fault(
                    f"the wave takes {self.wave.spread_days} days, longer than max_age_days ({limit}): who comes last would "
                    "never be asked",
                    *("wave", "spread_days"),
                    remedy="shorten it or lengthen max_age_days",
                )
            if self.sample and not isinstance(trigger, DatesTrigger):
                raise Fault(
                    f"a sample is drawn from an audience that is due on one date, and {trigger.event} is none",
                    *("triggers", place, "event"),
                    remedy="remove `sample`, or let all triggers be fixed_dates",
                )
        if self.cooldown.scope == "family" and self.family is None:
            raise Fault(
                "the scope is 'family', but the survey has none",
                *("cooldown", "scope"),
                remedy="add `family`, or take the scope 'global' or 'survey'",
            )
        if self.reminders.after_days and not {"email", "sms"} & set(self.channels):
            raise Fault(
                "reminders are mails or text messages, and the survey sends none",
                *("reminders", "after_days"),
                remedy="add `email` or `sms` to `channels`, or take the reminders out",
            )
        if self.reminders.after_days and self.reminders.after_days[-1] >= self.link_valid_days:
            raise Fault(
                f"the last reminder comes after {self.reminders.after_days[-1]} days, when the link has ended",
                *("reminders", "after_days"),
                remedy="lengthen link_valid_days, or remind earlier",
            )
        self._check_workflows()
        for tag, translation in self.languages.items():
            self._check_fallbacks(tag)
            self._check_translated(tag, translation)
        return self

    def _check_workflows(self) -> None:
        names = [workflow.id for workflow in self.workflows]
        for place, name in enumerate(names):
            if name in names[:place]:
                raise Fault(f"a second workflow '{name}'", "workflows", place, "id", remedy="give it another id")
        check_sequences(self.workflows, self.sequences)

    def _check_fallbacks(self, tag: str) -> None:
        here = ("languages", tag, "fallback")
        if tag == self.language:
            raise Fault(
                f"'{tag}' is the language of the survey's own texts already",
                *here[:2],
                remedy="remove it, or set `language` to that of the texts above",
            )
        seen, at = [tag], tag
        while (at := self.fallback_of(at)) != self.language:
            if at in seen:
                circle = " -> ".join([*seen, at])
                raise Fault(
                    f"the fallbacks go in a circle: {circle}", *here, remedy="let one of them end in the survey's own"
                )
            if at not in self.languages:
                raise Fault(
                    f"'{seen[-1]}' falls back to '{at}', which is not under languages",
                    *("languages", seen[-1], "fallback"),
                    remedy=f"add '{at}' there, or name one of {', '.join([self.language, *self.languages])}",
                )
            seen.append(at)

    def _check_translated(self, tag: str, translation: Translation) -> None:
        """A translation of what is not there would silently never be shown."""
        choices: dict[str, set[str]] = {}
        for question in self.questions:
            for name in (question.id, f"{question.id}:{question.scores}"):  # all variants, or one
                choices.setdefault(name, set()).update(choice.id for choice in question.choices)
        for name, texts in translation.questions.items():
            if name not in choices:
                raise Fault(f"there is no question '{name}' to translate", *("languages", tag, "questions", name))
            for choice in texts.choices:
                if choice not in choices[name]:
                    raise Fault(
                        f"the question '{name}' has no choice '{choice}'",
                        *("languages", tag, "questions", name, "choices", choice),
                    )

    def fallback_of(self, tag: str) -> str:
        """The language that `tag` names to stand in where it has no text, else the survey's own."""
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
    """A definition that was stored with a message, for rendering and follow-up. Fields that later versions dropped are
    ignored, and so is the filter: whom it let in is decided, and a stricter grammar must not unmake old mails."""
    return Survey.model_validate({**definition, "audience": {}}, extra="ignore")
