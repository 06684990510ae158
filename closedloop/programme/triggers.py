"""What makes a contact due: one class a kind of trigger, told apart by its `event`."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, computed_field

from closedloop.lake.catalogue import CRM_OBJECTS
from closedloop.programme.rules import TriggerEvent


class Part(BaseModel):
    """A part of a programme: no unknown fields, nothing changes after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


Contacts = Literal["primary", "all"]


class _Trigger(Part):
    delay_days: int = Field(default=0, ge=0, le=365)
    """Days from the event until the contact is due."""
    max_age_days: int | None = Field(default=None, ge=1, le=365)
    """So many days after it was due nobody is asked about it any more. Default: the survey's `max_age_days`."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def key(self) -> str:
        """What tells apart two triggers of one event; empty where the event has no parameter."""
        return ""


class RecordTrigger(_Trigger):
    """A record of the CRM reached a state: a deal was won, a ticket resolved, an order delivered."""

    event: Literal[
        "deal_won",
        "deal_lost",
        "purchase",
        "order_delivered",
        "contract_renewed",
        "onboarding_completed",
        "project_finished",
        "ticket_resolved",
        "support_contact",
        "customer_lost",
    ]
    """What happened."""
    contacts: Contacts = "primary"
    """`primary`: the record's own contact, else the account's primary one; `all`: everyone of the account."""


class SignUpTrigger(_Trigger):
    """Somebody signed up: a prospect for a trial or for content, or a contact."""

    event: Literal["sign_up"]
    """Somebody signed up."""
    kind: Literal["any", "trial", "content"] = "any"
    """For what: a trial, content such as a white paper, or anything."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def key(self) -> str:
        return "" if self.kind == "any" else self.kind


class FieldTrigger(_Trigger):
    """A field of a CRM record changed ("milestone reached"): to anything, or to one of the values of `to`."""

    event: Literal["field_changed"]
    """A field of a CRM record changed."""
    object: Literal[tuple(CRM_OBJECTS)] = "account"  # type: ignore[valid-type]
    """The kind of record, by the name of its mapping."""
    field: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,79}$")
    """The column's name in the CRM."""
    to: tuple[Annotated[str, Field(min_length=1, max_length=255)], ...] = Field(default=(), max_length=50)
    """The values that count; without any, every change does."""
    contacts: Contacts = "primary"
    """`primary`: the record's own contact, else the account's primary one; `all`: everyone of the account."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def key(self) -> str:
        return f"{self.object}.{self.field.lower()}" + (f"={'|'.join(self.to)}" if self.to else "")


class ScheduleTrigger(_Trigger):
    """Every so often for each contact of a customer, counted from the contact's own first day."""

    event: Literal["schedule_quarterly", "schedule_biannual", "schedule_annual"]
    """Every 90 days, every 180 days, or every year."""


class MonthlyTrigger(_Trigger):
    """Every month, on the contact's own day, or on `day_of_month`; a month without that day: its last day."""

    event: Literal["schedule_monthly"]
    """Every month."""
    day_of_month: int | None = Field(default=None, ge=1, le=31)
    """The same day for everyone. Default: each contact's own."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def key(self) -> str:
        return "" if self.day_of_month is None else str(self.day_of_month)


class AgeTrigger(_Trigger):
    """So many days after the account became a customer."""

    event: Literal["customer_age"]
    """The customer reached an age."""
    after_days: int = Field(ge=1, le=3650)
    """Days since the account became a customer."""
    contacts: Contacts = "primary"
    """`primary`: the account's primary contact; `all`: everyone of the account."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def key(self) -> str:
        return f"{self.after_days}d"


class AnniversaryTrigger(_Trigger):
    """So many months after the account became a customer."""

    event: Literal["customer_anniversary"]
    """The customer has an anniversary."""
    after_months: int = Field(ge=1, le=240)
    """Months since the account became a customer."""
    contacts: Contacts = "primary"
    """`primary`: the account's primary contact; `all`: everyone of the account."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def key(self) -> str:
        return f"{self.after_months}m"


class RenewalTrigger(_Trigger):
    """So many days before the account's renewal date."""

    event: Literal["before_renewal"]
    """The renewal comes near."""
    days_before: int = Field(ge=0, le=365)
    """Days before the account's renewal date."""
    contacts: Contacts = "primary"
    """`primary`: the account's primary contact; `all`: everyone of the account."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def key(self) -> str:
        return f"{self.days_before}d"


def _day_of_year(text: str) -> str:
    try:
        # A leap year, which has every day.
        if re.fullmatch(r"[0-9]{2}-[0-9]{2}", text) and dt.date.fromisoformat(f"2000-{text}"):
            return text
    except ValueError:
        pass
    raise ValueError(f"'{text}' is no day of the year; write month and day, such as '03-01'")


class DatesTrigger(_Trigger):
    """On fixed days of each year, for every contact of a customer; 02-29 is the 28th in other years."""

    event: Literal["fixed_dates"]
    """A day of the year came."""
    dates: tuple[Annotated[str, AfterValidator(_day_of_year)], ...] = Field(min_length=1, max_length=12)
    """The days as month and day, such as ['03-01', '09-01']."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def key(self) -> str:
        return ",".join(sorted(self.dates))


Trigger = Annotated[
    RecordTrigger
    | SignUpTrigger
    | FieldTrigger
    | ScheduleTrigger
    | MonthlyTrigger
    | AgeTrigger
    | AnniversaryTrigger
    | RenewalTrigger
    | DatesTrigger,
    Discriminator("event"),
]
"""One trigger; `event` says which kind, and each kind has fields of its own."""

# Every event has exactly one class: a new one that nobody can write in a programme would be dead.
assert {str(event) for event in TriggerEvent} == {
    name
    for kind in (
        RecordTrigger,
        SignUpTrigger,
        FieldTrigger,
        ScheduleTrigger,
        MonthlyTrigger,
        AgeTrigger,
        AnniversaryTrigger,
        RenewalTrigger,
        DatesTrigger,
    )
    for name in kind.model_fields["event"].annotation.__args__
}
