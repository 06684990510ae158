"""A survey as a typed definition, and the reader of its YAML file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from closedloop.errors import BadInput
from closedloop.programme.rules import Band, TriggerEvent
from closedloop.texts import SAMPLE, fill
from closedloop.yamlfile import load_yaml


def _template(text: str) -> str:
    try:
        fill(text, {**SAMPLE, "company": "Sample Company"})
    except BadInput as error:
        raise ValueError(error.problem) from None
    return text


Text = Annotated[str, AfterValidator(_template)]
"""A text with variables such as {{ first_name }}; one that could not be filled is refused when the file is read."""
Colour = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Question(_Part):
    """The one question; `{{ company }}` in any text is replaced."""

    text: Text = "How likely are you to recommend {{ company }} to a colleague or friend?"
    low_label: Text = "Not at all likely"
    high_label: Text = "Extremely likely"


class Trigger(_Part):
    """An event (or schedule) and how many days after it a contact becomes due."""

    event: TriggerEvent
    delay_days: int = Field(default=0, ge=0, le=365)


class Cooldown(_Part):
    """Days that must lie between two invitations to one person. `global` counts every survey, `survey` only this."""

    days: int = Field(default=90, ge=0, le=3650)
    scope: Literal["global", "survey"] = "global"


class Audience(_Part):
    """Whom the survey may reach; an empty list means everyone."""

    contact_roles: tuple[str, ...] = ()
    account_tiers: tuple[str, ...] = ()


class PerBand(_Part):
    """One text for each band of scores."""

    detractor: Text
    passive: Text
    promoter: Text

    def for_band(self, band: Band) -> str:
        return getattr(self, band.value)


class Branding(_Part):
    """Colours and logo of mail and page."""

    logo_url: str | None = None
    primary_colour: Colour = "#1f4ed8"
    background_colour: Colour = "#f5f6f8"


class Email(_Part):
    """Subject and sender of the invitation. `rep` sends in the account owner's name, replies go to that person."""

    subject: Text = "{{ first_name }}, one short question from {{ company }}"
    sender: Literal["shared", "rep"] = "shared"


class FollowUp(_Part):
    """Who answers a detractor, and how fast. Hours are calendar hours from the answer."""

    assignment: Literal["account_owner", "customer_success_manager"] = "account_owner"
    manager_up_to_score: int = Field(default=-1, ge=-1, le=6, description="manager takes over; -1: never")
    copy_manager_up_to_score: int = Field(default=4, ge=-1, le=6)
    acknowledge_hours: int = Field(default=24, ge=1)
    sla_hours: int = Field(default=48, ge=1)


class Survey(_Part):
    """One survey programme; the file `surveys/<id>.yml` holds exactly one."""

    id: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{1,62}$")
    name: str = Field(min_length=1, max_length=120)
    type: Literal["transactional", "relationship"]
    status: Literal["draft", "active", "paused"]
    company: str = Field(min_length=1, description="what {{ company }} stands for")
    in_headline: bool = True
    priority: int = Field(default=100, ge=0, description="the lower number is asked first")
    question: Question = Question()
    follow_up_questions: PerBand = PerBand(
        detractor="What could we do to improve your experience?",
        passive="What would it take for you to rate us a 9 or 10?",
        promoter="What do you value most about working with us?",
    )
    thank_you: PerBand = PerBand(
        detractor="Thank you for your honesty. Someone from our team will be in touch with you soon.",
        passive="Thank you. Your answer helps us to get better.",
        promoter="Thank you! We are glad that you enjoy working with us.",
    )
    triggers: tuple[Trigger, ...] = Field(min_length=1)
    max_age_days: int = Field(default=14, ge=1, le=365)
    audience: Audience = Audience()
    cooldown: Cooldown = Cooldown()
    skip_after_response_days: int = Field(default=90, ge=0)
    link_valid_days: int = Field(default=60, ge=1, le=730)
    branding: Branding = Branding()
    email: Email = Email()
    follow_up: FollowUp = FollowUp()

    @field_validator("id")
    @classmethod
    def _not_all(cls, survey_id: str) -> str:
        if survey_id == "all":
            raise ValueError("'all' stands for all surveys in the reports; choose another id")
        return survey_id

    @field_validator("triggers")
    @classmethod
    def _one_trigger_per_event(cls, triggers: tuple[Trigger, ...]) -> tuple[Trigger, ...]:
        if len({trigger.event for trigger in triggers}) < len(triggers):
            raise ValueError("two triggers name the same event; a contact would be due twice for one record")
        return triggers

    @property
    def definition(self) -> str:
        """The whole definition as canonical JSON."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, ensure_ascii=False, separators=(",", ":"))

    @property
    def definition_hash(self) -> str:
        """SHA-256 of the canonical JSON: two files that mean the same have the same hash."""
        return hashlib.sha256(self.definition.encode()).hexdigest()


def load_surveys(folder: Path) -> tuple[Survey, ...]:
    """All programmes of a folder, ordered by id. Raises BadInput naming file, line, field and remedy."""
    if not folder.is_dir():
        raise BadInput("no such folder of survey programmes", file=folder, remedy="set CLOSEDLOOP_SURVEYS")
    surveys = [load_survey(path) for path in sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])]
    if not surveys:
        raise BadInput("no survey programme in this folder", file=folder, remedy="add a file such as post-close.yml")
    seen: set[str] = set()
    for survey in surveys:
        if survey.id in seen:
            raise BadInput(f"two files define the survey '{survey.id}'", file=folder, field="id", remedy="rename one")
        seen.add(survey.id)
    return tuple(sorted(surveys, key=lambda survey: survey.id))


def load_survey(path: Path) -> Survey:
    """One programme from its YAML file. Raises BadInput naming file, line, field and remedy."""
    return load_yaml(path, Survey, what="a survey file", manual="docs/surveys.md")


def stored_survey(definition: Mapping[str, Any]) -> Survey:
    """A definition that was stored with a message; fields that later versions dropped are ignored."""
    return Survey.model_validate(definition, extra="ignore")
