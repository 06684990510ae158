"""What follows an answer: workflows by score and filter, each a list of actions. The standard ones stand at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Discriminator, Field, field_validator, model_validator

from closedloop.programme.content import Scores, Text, WebAddress, scores_in
from closedloop.programme.filters import parse_filter
from closedloop.programme.matching import matches
from closedloop.programme.triggers import Part
from closedloop.yamlfile import Fault, load_yaml

if TYPE_CHECKING:
    from closedloop.programme.definitions import Survey

NAME = r"^[a-z][a-z0-9-]{0,24}$"
Role = Literal["assignee", "account_owner", "customer_success_manager", "manager"]
Priority = Literal["high", "medium", "low"]


class _Action(Part):
    id: str | None = Field(default=None, pattern=NAME)
    """Tells two actions of one kind in one workflow apart."""

    @property
    def name(self) -> str:
        """What it is called within its workflow."""
        kind = self.do  # type: ignore[attr-defined]
        return f"{kind}-{self.id}" if self.id else kind


class AlertAction(_Action):
    """A mail to a colleague: score, words, account, what is known of it, and links to record what was done."""

    do: Literal["alert"]
    """An alert by mail."""
    to: Role | Literal["marketing"] = "assignee"
    """`assignee`: who follows up, else the account's owner; `marketing`: CLOSEDLOOP_MARKETING_ADDRESS."""


class ChatAction(_Action):
    """A message to a chat, by its incoming webhook."""

    do: Literal["chat"]
    """A message to a chat."""
    channel: str = Field(pattern=NAME)
    """Which of CLOSEDLOOP_CHAT_WEBHOOKS."""


class NotifyAction(_Action):
    """A push message to a colleague by the CRM's own notifications."""

    do: Literal["notify"]
    """A notification of the CRM."""
    to: Role = "assignee"
    """Who gets it."""


class TaskAction(_Action):
    """A task in the CRM."""

    do: Literal["task"]
    """A task."""
    subject: Text
    """Its title."""
    priority: Priority = "medium"
    """How urgent it is."""
    to: Role = "assignee"
    """Whose task it is; `assignee`: who follows up, else the account's owner."""
    due_days: int | None = Field(default=None, ge=0, le=365)
    """Due so many days after the answer. Default: the SLA of a follow-up, else a week."""


class CaseAction(_Action):
    """A case in the CRM; the closed case that the survey was about is opened again instead."""

    do: Literal["case"]
    """A case."""
    subject: Text = "Detractor NPS response from {{ contact_name }} at {{ account_name }}"
    """Its title."""
    priority: Priority = "high"
    """How urgent it is."""
    reopen: bool = True
    """Whether the case that the survey was about is opened again instead."""


class TimelineAction(_Action):
    """An entry on the account's timeline in the CRM."""

    do: Literal["timeline"]
    """An entry on the timeline."""
    colour: Literal["red", "yellow", "green"]
    """Its flag."""


class HealthAction(_Action):
    """A change of the account's health. Of each contact only the newest one counts."""

    do: Literal["health"]
    """A change of health."""
    change: int = Field(ge=-100, le=100)
    """In points of 100."""


class AdvocateAction(_Action):
    """The contact joins the list of advocates, for as long as the newest answer is a promoter's."""

    do: Literal["advocate"]
    """A place on the list of advocates."""


class ReplyTexts(Part):
    """A mail to the customer in another language."""

    subject: Text
    """The subject line."""
    body: Text
    """The words; an empty line begins a paragraph."""


class ReplyAction(_Action):
    """A mail to the customer: thanks, a request, an offer. Nobody who unsubscribed or is excluded gets one."""

    do: Literal["reply"]
    """A mail to the customer."""
    subject: Text
    """The subject line."""
    body: Text
    """The words; an empty line begins a paragraph."""
    after_hours: int = Field(default=0, ge=0, le=24 * 60)
    """Hours after the answer."""
    button: Text | None = None
    """What the button says that leads to `link`."""
    link: WebAddress | None = None
    """Where the button leads, such as a review site."""
    languages: dict[str, ReplyTexts] = {}
    """The words in other languages, by language."""

    @model_validator(mode="after")
    def _whole_button(self) -> ReplyAction:
        if (self.button is None) != (self.link is None):
            missing, there = ("button", "link") if self.button is None else ("link", "button")
            raise Fault(f"`{there}` without `{missing}`", there, remedy="a button needs both")
        return self


class SequenceAction(_Action):
    """The contact enters a sequence of mails."""

    do: Literal["sequence"]
    """A sequence of mails."""
    sequence: str = Field(pattern=NAME)
    """Which one of `sequences`."""


Action = Annotated[
    AlertAction
    | ChatAction
    | NotifyAction
    | TaskAction
    | CaseAction
    | TimelineAction
    | HealthAction
    | AdvocateAction
    | ReplyAction
    | SequenceAction,
    Discriminator("do"),
]


class Workflow(Part):
    """What follows some answers. One with the id of a standard workflow stands in its place."""

    id: str = Field(pattern=NAME)
    """`detractor`, `passive`, `promoter` and `referral` are the standard ones; part of every key: never change it."""
    scores: Scores = "0-10"
    """After which scores, such as '0-6' or '10'."""
    where: str = ""
    """A filter such as: account.tier = 'Enterprise'"""
    actions: tuple[Action, ...] = Field(max_length=20)
    """What is done; none at all switches a standard workflow off."""

    @field_validator("where")
    @classmethod
    def _readable(cls, where: str) -> str:
        parse_filter(where)
        return where

    @model_validator(mode="after")
    def _told_apart(self) -> Workflow:
        seen: set[str] = set()
        for place, action in enumerate(self.actions):
            if action.name in seen:
                raise Fault(
                    f"a second '{action.name}'", "actions", place, "do", remedy="give one of the two an `id` of its own"
                )
            seen.add(action.name)
        return self

    def follows(self, score: int, facts: Mapping[str, Mapping[str, Any]]) -> bool:
        """Whether it follows this score; `facts` are the fields of `contact` and `account`."""
        return score in scores_in(self.scores) and matches(parse_filter(self.where), facts)


class SequenceMail(ReplyTexts):
    """One mail of a sequence."""

    after_days: int = Field(ge=0, le=180)
    """Days after the sequence began."""
    languages: dict[str, ReplyTexts] = {}
    """The words in other languages, by language."""


class MailSequence(Part):
    """Mails to one customer, one after the other; it ends with an answer, an unsubscribe or an open case."""

    id: str = Field(pattern=NAME)
    """What actions call it."""
    starts: Literal["at_once", "when_closed"] = "at_once"
    """`when_closed`: not before the follow-up, and the case that it led to, are closed; the days count from then."""
    mails: tuple[SequenceMail, ...] = Field(min_length=1, max_length=10)
    """The mails, in this order."""

    @field_validator("mails")
    @classmethod
    def _in_order(cls, mails: tuple[SequenceMail, ...]) -> tuple[SequenceMail, ...]:
        days = [mail.after_days for mail in mails]
        if days != sorted(set(days)):
            raise Fault("the days must grow", remedy="let each mail come some days after the one before it")
        return mails


def actions_for(
    survey: Survey, score: int, facts: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, Workflow, Action]]:
    """What follows this score: the key of each action (`detractor.task`), its workflow, and the action."""
    for workflow in all_workflows(survey.workflows):
        if workflow.follows(score, facts):
            for action in workflow.actions:
                yield f"{workflow.id}.{action.name}", workflow, action


def all_workflows(own: Sequence[Workflow]) -> list[Workflow]:
    """The standard workflows, each replaced by the one of its id that a programme has, and the programme's others."""
    replaced = {workflow.id: workflow for workflow in own}
    standard = [replaced.pop(workflow.id, workflow) for workflow in STANDARD]
    return [*standard, *replaced.values()]


def check_sequences(own: Sequence[Workflow], sequences: Sequence[MailSequence]) -> None:
    """Raises Fault for a sequence that nobody knows, or one that stands twice."""
    names = [sequence.id for sequence in sequences]
    for place, name in enumerate(names):
        if name in names[:place]:
            raise Fault(f"a second sequence '{name}'", "sequences", place, "id", remedy="give it another id")
    for place, workflow in enumerate(own):
        for number, action in enumerate(workflow.actions):
            if isinstance(action, SequenceAction) and action.sequence not in names:
                raise Fault(
                    f"there is no sequence '{action.sequence}'",
                    *("workflows", place, "actions", number, "sequence"),
                    remedy="add it to `sequences`" + (f", or use one of {', '.join(names)}" if names else ""),
                )


class _Standard(Part):
    workflows: tuple[Workflow, ...]


STANDARD = load_yaml(
    Path(__file__).with_name("standard.yml"), _Standard, what="the standard workflows", manual="docs/workflows.md"
).workflows
"""What follows where a programme says nothing."""
