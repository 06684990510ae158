"""Who is asked, who is not and why: the rules as plain loops over a small world, to hold the models against.

Written from the definitions of the rules and docs/surveys.md, slowly and obviously. A world is what was known at one
time of what had happened by then; times are naive UTC. Nothing here knows SQL, dbt or a warehouse.
"""

from __future__ import annotations

import calendar
import datetime as dt
import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from closedloop.programme import Survey
from closedloop.programme.filters import Condition, parse_filter

DAY = dt.timedelta(days=1)
RULES = (
    *("contact_gone", "no_address", "excluded", "opted_out", "suppressed", "audience", "not_sampled", "expired"),
    *("cooldown", "recent_response", "account_cap", "one_per_wave"),
)
WAITS = ("wave_slot", "business_hours")
LOST = ("former customer", "lost customer", "churned", "churned customer", "ex-customer")


# --- what the CRM holds ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Account:
    id: str
    created_at: dt.datetime | None
    type: str | None = None
    tier: str | None = None
    region: str | None = None
    contract_value: str | None = None
    customer_since: dt.date | None = None
    renewal_date: dt.date | None = None
    health: str | None = None


@dataclass(frozen=True)
class Contact:
    id: str
    created_at: dt.datetime | None
    account_id: str | None = None
    email: str | None = None
    role: str | None = None
    is_primary: bool = False
    time_zone: str | None = None
    opted_out: bool = False
    is_lead: bool = False


@dataclass(frozen=True)
class Lead:
    id: str
    created_at: dt.datetime | None
    email: str | None = None
    opted_out: bool = False
    is_converted: bool = False
    converted_contact_id: str | None = None


@dataclass(frozen=True)
class Deal:
    id: str
    created_at: dt.datetime | None
    account_id: str | None
    is_won: bool
    is_closed: bool
    closed_on: dt.date | None
    contact_id: str | None = None


@dataclass(frozen=True)
class Ticket:
    id: str
    created_at: dt.datetime | None
    account_id: str | None
    contact_id: str | None
    closed_at: dt.datetime | None = None
    priority: str | None = None


@dataclass(frozen=True)
class Order:
    id: str
    created_at: dt.datetime | None
    account_id: str | None
    contact_id: str | None
    placed_on: dt.date | None
    delivered_on: dt.date | None = None
    status: str | None = None


@dataclass(frozen=True)
class Project:
    id: str
    created_at: dt.datetime | None
    account_id: str | None
    finished_on: dt.date | None


@dataclass(frozen=True)
class Contract:
    id: str
    created_at: dt.datetime | None
    account_id: str | None
    is_renewal: bool
    starts_on: dt.date | None
    renewed_on: dt.date | None = None


@dataclass(frozen=True)
class Task:
    id: str
    created_at: dt.datetime | None
    account_id: str | None
    kind: str
    is_closed: bool = False
    completed_at: dt.datetime | None = None


@dataclass(frozen=True)
class SignUp:
    id: str
    created_at: dt.datetime | None
    kind: str
    on: dt.date
    lead_id: str | None = None
    contact_id: str | None = None


@dataclass(frozen=True)
class Version:
    """What a record looked like from `at` on; the CRM's export brought it later. Without a record: it was deleted."""

    kind: type
    id: str
    at: dt.datetime
    known_at: dt.datetime
    record: Any = None


# --- what the programmes, the ledger and other tools hold ------------------------------------------------------------


@dataclass(frozen=True)
class Programme:
    """A version of a survey's file; status 'removed' when the file is gone."""

    survey: Survey
    known_at: dt.datetime
    status: str


@dataclass(frozen=True)
class Decision:
    """A sealed ask or skip."""

    candidate_id: str
    survey_id: str
    contact_id: str
    account_id: str | None
    person: str | None
    event: str
    record_id: str
    decision: str
    as_of: dt.datetime
    sealed_at: dt.datetime


@dataclass(frozen=True)
class Mail:
    """What became of a mail: sent, rejected, suppressed, uncertain, bounced, unsubscribed."""

    seq: int
    kind: str
    invitation_id: str
    at: dt.datetime
    known_at: dt.datetime
    message: str = "invitation"
    is_hard: bool = False


@dataclass(frozen=True)
class Answer:
    """A person's answer; `voided` takes it away again."""

    seq: int
    invitation_id: str
    at: dt.datetime
    known_at: dt.datetime
    voided: bool = False


@dataclass(frozen=True)
class Listed:
    """An entry or a removal: of a contact or an account on the exclusion list, of an address on the suppression list."""

    seq: int
    kind: str  # excluded, exclusion_removed, suppressed_address, resubscribed
    subject: str
    subject_id: str
    at: dt.datetime
    known_at: dt.datetime
    until: dt.datetime | None = None
    reason: str = "asked us"


@dataclass(frozen=True)
class Wish:
    """What somebody chose on the preference page: whether to get a survey, or ("all") a mail in so many days at most."""

    seq: int
    person: str
    survey_id: str
    at: dt.datetime
    known_at: dt.datetime
    is_wanted: bool = True
    days: int | None = None


@dataclass(frozen=True)
class Imported:
    """A row of another tool: somebody was asked there and, it may be, answered."""

    id: str
    survey_id: str
    contact_id: str | None
    email: str | None
    at: dt.datetime
    known_at: dt.datetime
    answered: bool
    account_id: str | None = None


@dataclass(frozen=True)
class Contacted:
    """Somebody was asked or answered."""

    what: str
    at: dt.datetime
    survey_id: str
    contact_id: str | None
    person: str | None
    account_id: str | None


def person_of(email: str | None) -> str | None:
    """The address by which two records are one person."""
    return (email or "").strip().lower() or None


@dataclass
class World:
    """What was known at `known_at` of what had happened by `as_of`."""

    as_of: dt.datetime
    known_at: dt.datetime
    records: dict[type, dict[str, Any]] = field(default_factory=lambda: defaultdict(dict))
    deleted: set[tuple[type, str]] = field(default_factory=set)
    versions: dict[tuple[type, str], list[Version]] = field(default_factory=lambda: defaultdict(list))
    programmes: dict[str, list[Programme]] = field(default_factory=lambda: defaultdict(list))
    decisions: list[Decision] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    lists: list[Listed] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)
    imported: list[Imported] = field(default_factory=list)

    @classmethod
    def of(cls, facts: Iterable[Any], as_of: dt.datetime, known_at: dt.datetime) -> World:
        """The world as the facts that had arrived tell it, in their order of arrival."""
        world = cls(as_of, known_at)
        for fact in facts:
            if isinstance(fact, Decision):
                if fact.as_of <= as_of and fact.sealed_at <= known_at:
                    world.decisions.append(fact)
            elif isinstance(fact, Programme):
                if fact.known_at <= known_at:
                    world.programmes[fact.survey.id].append(fact)
            elif fact.known_at <= known_at and fact.at <= as_of:
                world._learn(fact)
        world._prepare()
        return world

    def _learn(self, fact: Any) -> None:
        if isinstance(fact, Version):
            if fact.record is None:
                self.deleted.add((fact.kind, fact.id))
            else:
                self.records[fact.kind][fact.id] = fact.record
                self.deleted.discard((fact.kind, fact.id))
                self.versions[fact.kind, fact.id].append(fact)
        else:
            place = {Mail: self.mails, Answer: self.answers, Listed: self.lists, Imported: self.imported}
            place[Wish] = self.wishes
            place[type(fact)].append(fact)

    def _prepare(self) -> None:
        for some in (self.mails, self.answers, self.lists, self.wishes):
            some.sort(key=lambda fact: fact.seq)
        self.people: dict[str, Contact] = dict(self.records[Contact])
        for lead in self.records[Lead].values():
            if not lead.is_converted:
                self.people[lead.id] = Contact(lead.id, lead.created_at, email=lead.email, is_lead=True)
        self.contacts_of: dict[str, list[Contact]] = defaultdict(list)
        for contact in self.there(Contact):
            if contact.account_id:
                self.contacts_of[contact.account_id].append(contact)
        self.sealed = {decision.candidate_id: decision for decision in self.decisions}
        self.sealed_occasions = {(one.survey_id, one.event, one.record_id) for one in self.decisions}
        self.asked_today = {
            (one.survey_id, who)
            for one in self.decisions
            if one.decision == "ask" and one.as_of.date() == self.as_of.date()
            for who in (one.contact_id, one.person)
        }
        self.contacts_at: dict[str | None, list[str]] = defaultdict(list)
        for contact in self.records[Contact].values():
            self.contacts_at[person_of(contact.email)].append(contact.id)
        self.tickets_of: dict[str | None, list[Ticket]] = defaultdict(list)
        for ticket in self.there(Ticket):
            self.tickets_of[ticket.account_id].append(ticket)
        self.surveys = {}
        for survey_id, versions in self.programmes.items():
            if versions[-1].status == "active":
                since = versions[-1].known_at
                for version in reversed(versions):
                    if version.status != "active":
                        break
                    since = version.known_at
                self.surveys[survey_id] = (versions[-1].survey, since)
        self.families = {survey_id: versions[-1].survey.family for survey_id, versions in self.programmes.items()}
        self.opted_out = {
            person_of(one.email)
            for kind in (Contact, Lead)
            for one in self.records[kind].values()
            if one.opted_out and person_of(one.email)
        }
        self.voided = {answer.invitation_id for answer in self.answers if answer.voided}
        self.mails_of: dict[str, list[Mail]] = defaultdict(list)
        for mail in self.mails:
            if mail.message == "invitation":
                self.mails_of[mail.invitation_id].append(mail)
        # Where the books put each ask: the last that the sender said of it.
        self.delivery = {one.candidate_id: "pending" for one in self.decisions if one.decision == "ask"}
        for mail in self.mails:
            if mail.message == "invitation" and mail.kind in ("sent", "rejected", "suppressed", "uncertain"):
                self.delivery[mail.invitation_id] = mail.kind
        self.history = list(self._history())
        self.met_contact: dict[str, list[Contacted]] = defaultdict(list)
        self.met_person: dict[str, list[Contacted]] = defaultdict(list)
        self.met_account: dict[str, list[Contacted]] = defaultdict(list)
        for one in self.history:
            self.met_contact[one.contact_id or ""].append(one)
            self.met_person[one.person or ""].append(one)
            if one.what == "asked":
                self.met_account[one.account_id or ""].append(one)
        # What ended the mails to an address and what took that back, in the order in which it was told.
        self.ends: dict[str, list[tuple[int, str, dt.datetime]]] = defaultdict(list)
        for one in self.lists:
            if one.kind == "suppressed_address":
                self.ends[one.subject_id].append((one.seq, one.reason, one.at))
            elif one.kind == "resubscribed":
                self.ends[one.subject_id].append((one.seq, one.kind, one.at))
        for mail in self.mails:
            # An alert goes to one of us: its bounce says nothing about the customer's address.
            about = self.sealed.get(mail.invitation_id)
            is_end = mail.kind == "unsubscribed" or (mail.kind == "bounced" and mail.is_hard)
            if is_end and mail.message != "alert" and about and about.person:
                self.ends[about.person].append((mail.seq, mail.kind, mail.at))
        for some_ends in self.ends.values():
            some_ends.sort()
        self.entries: dict[tuple[str, str], list[Listed]] = defaultdict(list)
        for one in self.lists:
            if one.subject != "address":
                self.entries[one.subject, one.subject_id].append(one)
        self.wishes_of: dict[tuple[str, str], list[Wish]] = defaultdict(list)
        for wish in self.wishes:
            self.wishes_of[wish.person, wish.survey_id].append(wish)

    def there(self, kind: type) -> Iterator[Any]:
        """The records of a kind that are not deleted."""
        return (one for one in self.records[kind].values() if (kind, one.id) not in self.deleted)

    def is_deleted(self, kind: type, record_id: str | None) -> bool:
        return (kind, record_id) in self.deleted

    def _history(self) -> Iterator[Contacted]:
        """Everybody who was asked or answered. Pending, sent and uncertain invitations count, reminders never."""
        for one in self.decisions:
            if one.decision != "ask":
                continue
            state, at = self.delivery[one.candidate_id], one.sealed_at
            for kind in ("uncertain", "sent"):
                times = [mail.at for mail in self.mails_of[one.candidate_id] if mail.kind == kind]
                at = min(times) if times else at
            if state in ("pending", "sent", "uncertain"):
                yield Contacted("asked", at, one.survey_id, one.contact_id, one.person, one.account_id)
        for answer in self.answers:
            about = self.sealed.get(answer.invitation_id)
            if about and about.decision == "ask" and answer.invitation_id not in self.voided:
                yield Contacted(
                    "answered", answer.at, about.survey_id, about.contact_id, about.person, about.account_id
                )
        for row in self.imported:
            contact_id, person = row.contact_id, person_of(row.email)
            if contact_id is None:
                same = sorted((self.is_deleted(Contact, other), other) for other in self.contacts_at[person])
                contact_id = same[0][1] if same else None
            known = self.records[Contact].get(contact_id or "")
            if known and person is None:
                person = person_of(known.email)
            account_id = row.account_id or (known.account_id if known else None)
            for what in ("asked", "answered") if row.answered else ("asked",):
                yield Contacted(what, row.at, row.survey_id, contact_id, person, account_id)


# --- who is due ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Event:
    """What makes somebody due, at a moment or on a day of the contact's calendar. No contact: the account says who."""

    record_id: str
    contact_id: str | None
    account_id: str | None
    at: dt.datetime | None = None
    on: dt.date | None = None


@dataclass(frozen=True)
class Candidate:
    """A contact, a survey and the record that makes it due."""

    id: str
    survey: Survey
    trigger: Any
    contact_id: str
    account_id: str | None
    event: str
    record_id: str
    due_at: dt.datetime
    on: dt.date | None

    @property
    def expires_at(self) -> dt.datetime:
        return self.due_at + self.survey.max_age_of(self.trigger) * DAY

    @property
    def order(self) -> tuple[int, dt.datetime, str]:
        """Who goes first: the lowest priority number, then what was due first."""
        return (self.survey.priority, self.due_at, self.id)


def day(date: dt.date) -> dt.datetime:
    return dt.datetime.combine(date, dt.time.min)


@cache
def zone_of(name: str | None) -> ZoneInfo | None:
    name = (name or "").strip()
    return ZoneInfo(name) if name in available_timezones() else None


@cache
def midnight(date: dt.date, zone: str | None) -> dt.datetime:
    """When a day begins in a zone (UTC where it is unknown), in UTC."""
    place = zone_of(zone) or ZoneInfo("UTC")
    return dt.datetime.combine(date, dt.time.min, place).astimezone(dt.UTC).replace(tzinfo=None)


def local(at: dt.datetime, zone: ZoneInfo | None) -> dt.datetime:
    return at.replace(tzinfo=dt.UTC).astimezone(zone or ZoneInfo("UTC")).replace(tzinfo=None)


def months_later(date: dt.date, months: int) -> dt.date:
    """The same day of the month so many months later; a month without it: its last day."""
    year, month = divmod(date.year * 12 + date.month - 1 + months, 12)
    return dt.date(year, month + 1, min(date.day, calendar.monthrange(year, month + 1)[1]))


def _is_void(order: Order) -> bool:
    return (order.status or "").lower() in ("draft", "cancelled", "canceled")


def is_customer(type_: str | None) -> bool:
    return not (type_ or "").strip() or type_.strip().lower().startswith("customer")


def events_of(world: World, trigger: Any, until: dt.date) -> Iterator[Event]:
    """All events of a trigger, those of the calendar up to `until`."""
    name = trigger.event
    if name in ("deal_won", "deal_lost"):
        for deal in world.there(Deal):
            happened = deal.is_won if name == "deal_won" else deal.is_closed and not deal.is_won
            if happened and deal.closed_on:
                yield Event(deal.id, deal.contact_id, deal.account_id, at=day(deal.closed_on))
    elif name in ("support_contact", "ticket_resolved"):
        # Nobody but the ticket's contact knows how it went: without one nobody is due.
        for ticket in world.there(Ticket):
            at = ticket.created_at if name == "support_contact" else ticket.closed_at
            if at and ticket.contact_id:
                yield Event(ticket.id, ticket.contact_id, ticket.account_id, at=at)
    elif name == "purchase":
        for order in world.there(Order):
            if order.placed_on and not _is_void(order):
                yield Event(order.id, order.contact_id, order.account_id, at=day(order.placed_on))
    elif name == "order_delivered":
        for order in world.there(Order):
            if order.delivered_on and not _is_void(order):
                yield Event(order.id, order.contact_id, order.account_id, at=day(order.delivered_on))
    elif name == "project_finished":
        for project in world.there(Project):
            if project.account_id and project.finished_on:
                yield Event(project.id, None, project.account_id, at=day(project.finished_on))
    elif name == "contract_renewed":
        for contract in world.there(Contract):
            on = contract.renewed_on or contract.starts_on
            if contract.is_renewal and contract.account_id and on:
                yield Event(contract.id, None, contract.account_id, at=day(on))
    elif name == "onboarding_completed":
        tasks = defaultdict(list)
        for task in world.there(Task):
            if task.account_id and task.kind.lower().startswith("onboarding"):
                tasks[task.account_id].append(task)
        for account_id, some in tasks.items():
            times = [task.completed_at for task in some if task.completed_at]
            if all(task.is_closed for task in some) and times:
                yield Event(account_id, None, account_id, at=max(times))
    elif name == "sign_up":
        for sign_up in world.there(SignUp):
            if trigger.kind in ("any", sign_up.kind.lower()):
                lead = world.records[Lead].get(sign_up.lead_id or "")
                who = sign_up.contact_id or (lead and (lead.converted_contact_id or lead.id))
                if who:
                    yield Event(sign_up.id, who, None, at=day(sign_up.on))
    elif name == "customer_lost":
        for account in world.there(Account):
            before = None
            for version in world.versions[Account, account.id]:
                was, now = before and before.record.type, (version.record.type or "").lower()
                if before and is_customer(was) and now in LOST:
                    yield Event(f"{account.id}@{version.at.date()}", None, account.id, at=version.at)
                before = version
    elif name == "field_changed":
        yield from _field_changes(world, trigger)
    elif name in ("customer_age", "customer_anniversary", "before_renewal"):
        yield from _marks(world, trigger)
    else:
        yield from _occurrences(world, trigger, until)


FIELDS = {("account", "health__c"): "health", ("account", "tier__c"): "tier", ("case", "priority"): "priority"}
"""The attributes here of the columns that a programme may watch."""


def _field_changes(world: World, trigger: Any) -> Iterator[Event]:
    attribute = FIELDS[trigger.object, trigger.field.lower()]
    for record in world.there({"account": Account, "case": Ticket}[trigger.object]):
        before, is_first = None, True
        for version in world.versions[type(record), record.id]:
            value = getattr(version.record, attribute)
            if not is_first and value and value != before and (not trigger.to or value in trigger.to):
                yield Event(
                    f"{trigger.object}:{record.id}:{trigger.field.lower()}@{version.at}",
                    getattr(record, "contact_id", None),
                    record.id if trigger.object == "account" else record.account_id,
                    at=version.at,
                )
            before, is_first = value, False


def _marks(world: World, trigger: Any) -> Iterator[Event]:
    for account in world.there(Account):
        started = account.customer_since or (account.created_at and account.created_at.date())
        if not is_customer(account.type):
            continue
        record_id = f"{account.id}@{trigger.key}"
        if trigger.event == "before_renewal":
            if account.renewal_date:
                # A renewal date that moves is another occasion.
                record_id += f"@{account.renewal_date}"
                yield Event(record_id, None, account.id, on=account.renewal_date - trigger.days_before * DAY)
        elif started and trigger.event == "customer_age":
            yield Event(record_id, None, account.id, on=started + trigger.after_days * DAY)
        elif started:
            yield Event(record_id, None, account.id, on=months_later(started, trigger.after_months))


def _occurrences(world: World, trigger: Any, until: dt.date) -> Iterator[Event]:
    """Days of schedules: for each contact of a customer, counted from its first day in its own calendar."""
    for contact in world.there(Contact):
        account = world.records[Account].get(contact.account_id or "")
        if account and (world.is_deleted(Account, account.id) or not is_customer(account.type)):
            continue
        created = contact.created_at or (account and account.created_at)
        first = created and local(created, zone_of(contact.time_zone)).date()
        for on in _days_of(trigger, first, until):
            yield Event(f"{contact.id}@{on}", contact.id, contact.account_id, on=on)


def _days_of(trigger: Any, first: dt.date | None, until: dt.date) -> Iterator[dt.date]:
    if trigger.event == "fixed_dates":
        days = set()
        for year in range(until.year - 2, until.year + 1):
            for text in trigger.dates:
                month, number = map(int, text.split("-"))
                days.add(dt.date(year, month, min(number, calendar.monthrange(year, month)[1])))
        yield from sorted(on for on in days if on <= until and (first is None or on >= first))
        return
    if first is None:
        return
    anchor, step = first, 0
    if trigger.event == "schedule_monthly" and trigger.day_of_month:
        anchor = dt.date(first.year, 1, trigger.day_of_month)
    while True:
        step += 1
        if trigger.event == "schedule_quarterly":
            on = anchor + step * 90 * DAY
        elif trigger.event == "schedule_biannual":
            on = anchor + step * 180 * DAY
        elif trigger.event == "schedule_annual":
            on = months_later(anchor, step * 12)
        else:
            on = months_later(anchor, step if anchor is first else step - 1)
        if on > until:
            return
        if on > first:
            yield on


def due(
    world: World,
    *,
    until: dt.datetime,
    earliest: dt.datetime | None = None,
    undecided: bool = False,
    sampled: bool = False,
) -> Iterator[Candidate]:
    """Every occasion on which somebody is due up to `until`, or only those without a decision, or of surveys that ask a
    sample; what was due before `earliest` is none, by default what was older than `max_age_days` when the survey became
    active. Several triggers may lead to one occasion: the first one makes the contact due."""
    for survey, active_since in world.surveys.values():
        if sampled and not survey.sample:
            continue
        found: dict[str, Candidate] = {}
        for trigger in survey.triggers:
            start = earliest or active_since - survey.max_age_of(trigger) * DAY
            for event in events_of(world, trigger, until.date() + DAY):
                for one in _addressed(world, survey, trigger, event, (start, until)):
                    if undecided and is_decided(world, one):
                        continue
                    if start <= one.due_at <= until and (one.id not in found or one.due_at < found[one.id].due_at):
                        found[one.id] = one
        yield from found.values()


def _addressed(
    world: World, survey: Survey, trigger: Any, event: Event, span: tuple[dt.datetime, dt.datetime]
) -> Iterator[Candidate]:
    # Whatever the zone, a day begins within 15 hours of its beginning in UTC: the rest need not be looked at.
    about = (event.at or day(event.on)) + trigger.delay_days * DAY
    if not span[0] - DAY <= about <= span[1] + DAY:
        return
    contacts = getattr(trigger, "contacts", "primary")
    if contacts == "all" and event.account_id:
        who = [contact.id for contact in world.contacts_of[event.account_id]]
    elif event.contact_id:
        who = [event.contact_id]
    else:
        ranked = sorted(world.contacts_of[event.account_id or ""], key=lambda one: (not one.is_primary, one.id))
        who = [contact.id for contact in ranked[:1]]
    for contact_id in who:
        if event.at:
            due_at = event.at + trigger.delay_days * DAY
        else:
            person = world.people.get(contact_id)
            due_at = midnight(event.on + trigger.delay_days * DAY, person and person.time_zone)
        key = hashlib.md5(f"{survey.id}|{contact_id}|{trigger.event}|{event.record_id}".encode()).hexdigest()
        yield Candidate(
            key, survey, trigger, contact_id, event.account_id, trigger.event, event.record_id, due_at, event.on
        )


def is_decided(world: World, one: Candidate) -> bool:
    """Sealed decisions stand. Where a record is about one contact, who takes its place later is not asked again."""
    return one.id in world.sealed or (
        getattr(one.trigger, "contacts", "primary") == "primary"
        and (one.survey.id, one.event, one.record_id) in world.sealed_occasions
    )


def sealed(world: World, one: Candidate, decision: str, at: dt.datetime) -> Decision:
    """The decision about a candidate as a fact."""
    contact = world.people.get(one.contact_id)
    person = person_of(contact.email) if contact else None
    return Decision(
        *(one.id, one.survey.id, one.contact_id, asked_account(world, one), person),
        *(one.event, one.record_id, decision, world.as_of, at),
    )


# --- the rules about who ---------------------------------------------------------------------------------------------


def asked_account(world: World, one: Candidate) -> str | None:
    contact = world.people.get(one.contact_id)
    return one.account_id or (contact.account_id if contact else None)


def fails_for_good(world: World, one: Candidate, drawn: set[str]) -> set[str]:
    """The rules that look at records as they are: the same on every day of a replay."""
    fails = set()
    contact, account_id = world.people.get(one.contact_id), asked_account(world, one)
    person = person_of(contact.email) if contact else None
    kind = Lead if contact and contact.is_lead else Contact
    if contact is None or world.is_deleted(kind, one.contact_id) or world.is_deleted(Account, account_id):
        fails.add("contact_gone")
    if not is_address(contact.email if contact else None):
        fails.add("no_address")
    if person in world.opted_out:
        fails.add("opted_out")
    if not in_audience(world, one):
        fails.add("audience")
    if one.survey.sample and one.id not in drawn:
        fails.add("not_sampled")
    return fails


def is_address(email: str | None) -> bool:
    name, sign, domain = (email or "").strip().partition("@")
    return bool(sign and name and domain) and "@" not in domain and " " not in name + domain


def is_excluded(world: World, subject: str, subject_id: str | None, at: dt.datetime) -> bool:
    """Whether the last entry of the exclusion list about it, at that time, still holds."""
    entries = [entry for entry in world.entries[subject, subject_id or ""] if entry.at <= at]
    last = entries[-1] if entries else None
    return bool(last and last.kind == "excluded" and (last.until is None or last.until > at))


def gets_no_mail(world: World, person: str | None, at: dt.datetime) -> bool:
    """Whether something had ended all mails to this address by then. Its owner may take back an unsubscribe of their
    own, and nothing else."""
    standing: list[str] = []
    for _, reason, told_at in world.ends.get(person or "", ()):
        if told_at <= at and reason == "resubscribed":
            standing = [other for other in standing if other != "unsubscribed"]
        elif told_at <= at:
            standing.append(reason)
    return bool(standing)


def wish_of(world: World, person: str | None, survey_id: str, at: dt.datetime) -> Wish | None:
    """The wish that stands at a time: the last that was told of those made by then."""
    made = [wish for wish in world.wishes_of.get((person or "", survey_id), ()) if wish.at <= at]
    return made[-1] if made else None


def is_unwanted(world: World, person: str | None, survey_id: str, at: dt.datetime) -> bool:
    wish = wish_of(world, person, survey_id, at)
    return wish is not None and not wish.is_wanted


def wished_days(world: World, person: str | None, at: dt.datetime) -> int:
    """So many days this person wants between two mails, whichever surveys they are of."""
    wish = wish_of(world, person, "all", at)
    return wish.days or 0 if wish else 0


def in_audience(world: World, one: Candidate) -> bool:
    clauses = clauses_of(one.survey.audience.where)
    return not clauses or any(all(holds(world, condition, one) for condition in clause) for clause in clauses)


clauses_of = cache(parse_filter)


def holds(world: World, condition: Condition, one: Candidate) -> bool:
    if condition.field == "NeverBrought__c":
        return False  # whatever is asked about a field that no export ever brought
    value = value_of(world, condition.subject, condition.field, one)
    if condition.operator == "empty":
        found = value is None
    else:
        found = value is not None and any(compares(value, condition, wanted) for wanted in condition.values)
    return found != condition.negated


def compares(value: Any, condition: Condition, wanted: str) -> bool:
    if condition.kind == "number":
        try:
            a, b = float(value), float(wanted)
        except ValueError:
            return False
    elif condition.kind == "boolean":
        a, b = str(value).lower() in ("true", "1", "yes"), wanted == "true"
    else:
        a, b = str(value), wanted
    return {"=": a == b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[condition.operator]


def value_of(world: World, subject: str, name: str, one: Candidate) -> Any:
    if subject == "contact":
        contact = world.people.get(one.contact_id)
        if contact is None:
            return None
        if name == "created_on":
            return contact.created_at and contact.created_at.date()
        return getattr(contact, name)
    account_id = asked_account(world, one)
    account = world.records[Account].get(account_id or "")
    if account is None:
        return None
    if name == "customer_days":
        since = account.customer_since or (account.created_at and account.created_at.date())
        return since and (world.as_of.date() - since).days
    if name in ("cases", "open_cases"):
        return sum(name == "cases" or not ticket.closed_at for ticket in world.tickets_of[account_id])
    if name == "orders":
        return sum(order.account_id == account_id for order in world.there(Order))
    return getattr(account, {"Health__c": "health"}.get(name, name))


def counts_for(world: World, survey: Survey, asked_by: str) -> bool:
    """Whether an invitation of `asked_by` counts for the cooldown of `survey`."""
    if survey.cooldown.scope == "survey":
        return asked_by == survey.id
    if survey.cooldown.scope == "family":
        return world.families.get(asked_by) == survey.family
    return True


def met(world: World, one: Candidate) -> list[Contacted]:
    """All that happened with the person: with the contact, and with everybody who has its address."""
    contact = world.people.get(one.contact_id)
    person = person_of(contact.email) if contact else None
    return world.met_contact[one.contact_id] + (world.met_person[person] if person else [])


def drawn_for_samples(world: World, candidates: Iterable[Candidate]) -> set[str]:
    """Whom the surveys that ask a sample have drawn: of each stratum of a date as many as the interval needs."""
    strata = defaultdict(list)
    for one in candidates:
        if one.survey.sample:
            contact = world.people.get(one.contact_id)
            reachable = contact and not world.is_deleted(Contact, contact.id) and is_address(contact.email)
            if reachable and in_audience(world, one) and not is_at_rest(world, one):
                stratum = stratum_of(world, one.survey.sample, one.contact_id, asked_account(world, one))
                strata[one.survey.id, one.on, stratum].append(one)
    drawn = set()
    for (survey_id, _, stratum), some in strata.items():
        sample = some[0].survey.sample
        some.sort(key=lambda one: (_lot(sample.seed, survey_id, one.contact_id), one.id))
        drawn.update(one.id for one in some[: asks_needed(world, survey_id, sample, stratum)])
    return drawn


def is_at_rest(world: World, one: Candidate) -> bool:
    """Whether a list, an ask or an answer from before the date stands against asking then: no place of a sample."""
    person = person_of(world.people[one.contact_id].email)
    before = one.due_at - dt.timedelta(microseconds=1)
    if person in world.opted_out or gets_no_mail(world, person, before):
        return True
    if is_unwanted(world, person, one.survey.id, before):
        return True
    if is_excluded(world, "contact", one.contact_id, one.due_at):
        return True
    if is_excluded(world, "account", asked_account(world, one), one.due_at):
        return True
    for past in met(world, one):
        days = (one.due_at.date() - past.at.date()).days
        if past.at < one.due_at and past.what == "answered" and days < one.survey.skip_after_response_days:
            return True
        counts = past.what == "asked" and counts_for(world, one.survey, past.survey_id)
        if past.at < one.due_at and counts and days < one.survey.cooldown.days:
            return True
        if past.at < one.due_at and past.what == "asked" and days < wished_days(world, person, before):
            return True
    return False


def _lot(seed: int, survey_id: str, contact_id: str) -> str:
    return hashlib.md5(f"{seed}|{survey_id}|{contact_id}".encode()).hexdigest()


def stratum_of(world: World, sample: Any, contact_id: str, account_id: str | None) -> str:
    subject, name = sample.by.split(".")
    record = world.people.get(contact_id) if subject == "contact" else world.records[Account].get(account_id or "")
    return (record and getattr(record, name)) or "(none)"


def asks_needed(world: World, survey_id: str, sample: Any, stratum: str) -> int:
    """n = z^2 v / m^2 - 3 answers (adjusted Wald) over the share that answers: of the survey's own past where it has
    enough of it, else 2/3 and the share that the programme expects. (Who answers here is always a promoter.)"""
    sent = {
        one.candidate_id
        for one in world.decisions
        if one.survey_id == survey_id
        and world.delivery.get(one.candidate_id) == "sent"
        and stratum_of(world, sample, one.contact_id, one.account_id) == stratum
    }
    answered = len({answer.invitation_id for answer in world.answers} & sent - world.voided)
    rate = answered / len(sent) if len(sent) >= 100 and answered else sample.response_rate
    centre = answered / (answered + 3)
    variance = (answered + 1.5) / (answered + 3) - centre**2 if answered >= 30 else 2.0 / 3
    needed = 1.959964**2 * variance / (sample.half_width / 100.0) ** 2 - 3
    return max(1, math.ceil(needed / rate))


# --- one evaluation --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Proposal:
    decision: str
    deciding_rule: str
    all_failed_rules: tuple[str, ...]


def proposal(decision: str, fails: set[str], waits: set[str]) -> Proposal:
    """The first of the rules that speak against it decides, those about who before those about when."""
    failed = tuple(rule for rule in (*RULES, *WAITS) if rule in fails | waits)
    return Proposal(decision, failed[0] if failed else "passed", failed)


def evaluate(world: World) -> dict[str, tuple[Candidate, Proposal]]:
    """What is proposed for every candidate at `as_of`."""
    drawn = drawn_for_samples(world, due(world, until=world.as_of, sampled=True))
    candidates = sorted(due(world, until=world.as_of, undecided=True), key=lambda one: one.order)
    fails = {one.id: fails_alone(world, one, drawn) for one in candidates}
    waits = {one.id: waits_now(world, one) for one in candidates}
    ready = [one for one in candidates if not fails[one.id] and not waits[one.id]]

    # One mail a person: the first in the order. Who waits or fails takes nobody's place.
    taken: set[str] = set()
    first = []
    for one in ready:
        person = person_of(world.people[one.contact_id].email)
        if person in taken:
            fails[one.id].add("one_per_wave")
        else:
            taken.add(person)
            first.append(one)

    # So many an account: all who were first count, in their order, on top of those who were asked before. A cap is
    # cautious: whoever was first for a person stands for that person, even when the account has enough.
    weighed: dict[str, int] = defaultdict(int)
    for one in first:
        account_id = asked_account(world, one)
        if account_id is None:
            continue
        weighed[account_id] += 1
        cap = one.survey.account_cap
        if cap:
            before = sum((world.as_of.date() - ask.at.date()).days < cap.days for ask in world.met_account[account_id])
            if before + weighed[account_id] > cap.invitations:
                fails[one.id].add("account_cap")

    found = {}
    for one in candidates:
        decision = "skip" if fails[one.id] else "defer" if waits[one.id] else "ask"
        found[one.id] = (one, proposal(decision, fails[one.id], waits[one.id]))
    return found


def fails_alone(world: World, one: Candidate, drawn: set[str]) -> set[str]:
    """The rules about who that look at one candidate alone, and whether its wave has asked the person already."""
    fails = fails_for_good(world, one, drawn)
    contact, today = world.people.get(one.contact_id), world.as_of.date()
    person = person_of(contact.email) if contact else None
    if is_excluded(world, "contact", one.contact_id, world.as_of) or is_excluded(
        world, "account", asked_account(world, one), world.as_of
    ):
        fails.add("excluded")
    if gets_no_mail(world, person, world.as_of) or is_unwanted(world, person, one.survey.id, world.as_of):
        fails.add("suppressed")
    if world.as_of > one.expires_at:
        fails.add("expired")
    if cools_down(world, one, today) or is_too_soon(world, one, today):
        fails.add("cooldown")
    answered = [past.at for past in met(world, one) if past.what == "answered"]
    if answered and (today - max(answered).date()).days < one.survey.skip_after_response_days:
        fails.add("recent_response")
    # A wave is a survey's day, and one mail a person: an earlier evaluation of the day may have asked.
    if (one.survey.id, one.contact_id) in world.asked_today or (
        person and (one.survey.id, person) in world.asked_today
    ):
        fails.add("one_per_wave")
    return fails


def cools_down(world: World, one: Candidate, today: dt.date) -> bool:
    """The survey's own cooldown, over the invitations of its scope."""
    asked = [
        past.at for past in met(world, one) if past.what == "asked" and counts_for(world, one.survey, past.survey_id)
    ]
    return bool(asked) and (today - max(asked).date()).days < one.survey.cooldown.days


def is_too_soon(world: World, one: Candidate, today: dt.date) -> bool:
    """The person's own: at most one invitation in so many days, by any survey."""
    contact = world.people.get(one.contact_id)
    asked = [past.at for past in met(world, one) if past.what == "asked"]
    wished = wished_days(world, person_of(contact.email) if contact else None, world.as_of)
    return bool(asked) and (today - max(asked).date()).days < wished


def slot_of(one: Candidate) -> dt.date:
    """The day of its own on which a candidate of a spread wave is asked."""
    spread = one.survey.wave.spread_days if one.survey.wave else 1
    number = int(hashlib.md5(one.id.encode()).hexdigest()[:8], 16)
    return one.due_at.date() + number % spread * DAY


def waits_now(world: World, one: Candidate) -> set[str]:
    waits = set()
    if world.as_of.date() < slot_of(one):
        waits.add("wave_slot")
    hours = one.survey.business_hours
    if hours:
        contact = world.people.get(one.contact_id)
        place = zone_of(contact.time_zone if contact else None) or zone_of(hours.time_zone)
        clock = local(world.as_of, place)
        if not is_working_day(hours, clock.date()) or not hours.opens <= f"{clock:%H:%M}" < hours.closes:
            waits.add("business_hours")
    return waits


def is_working_day(hours: Any, date: dt.date) -> bool:
    return ("mon", "tue", "wed", "thu", "fri", "sat", "sun")[
        date.weekday()
    ] in hours.days and date not in hours.holidays


# --- a replay --------------------------------------------------------------------------------------------------------


@dataclass
class Replayed:
    """A candidate on its way through the days; `fails` gathers what spoke against it on any day on which it waited."""

    candidate: Candidate
    due_on: dt.date
    decision: str = "defer"
    decided_on: dt.date | None = None
    fails: set[str] = field(default_factory=set)
    waits: str | None = None
    too_soon: set[str] = field(default_factory=set)
    """Which asks, 'real' or 'replayed', stood against it by the person's own wish and by no cooldown."""


def replay(
    world: World, starts_on: dt.date, ends_on: dt.date, *, survey_id: str | None = None, is_alone: bool = False
) -> dict[str, Replayed]:
    """Play days through, one evaluation a UTC day, without deciding anything: of one survey as if it had always been
    active, or (a plan) of all that is undecided. Records, opt-outs and filters are as they stand at the end."""
    until = day(ends_on) + DAY - dt.timedelta(microseconds=1)
    if survey_id:
        earliest = day(starts_on)
        candidates = [one for one in due(world, until=until, earliest=earliest) if one.survey.id == survey_id]
    else:
        earliest = None
        candidates = list(due(world, until=until, undecided=True))
    drawn = drawn_for_samples(world, due(world, until=until, earliest=earliest, sampled=True))
    arriving = defaultdict(list)
    for one in candidates:
        begins = max(one.due_at.date(), starts_on)
        arriving[begins].append(Replayed(one, begins, fails=fails_for_good(world, one, drawn)))

    def stands(past: Contacted) -> bool:
        """Whether what really happened counts; from the first day on the replay has its own asks."""
        if past.what == "answered" or past.at.date() < starts_on or survey_id is None:
            return True
        return past.survey_id != survey_id and not is_alone

    asked_in_replay: dict[str | None, list[tuple[dt.date, str]]] = defaultdict(list)
    looked_at: list[Replayed] = []
    done: dict[str, Replayed] = {}
    today = starts_on
    while today <= ends_on:
        looked_at += arriving[today]
        ready, waiting = [], []
        for one in looked_at:
            survey, who = one.candidate.survey, one.candidate
            contact = world.people.get(who.contact_id)
            person = person_of(contact.email) if contact else None
            one.fails |= _fails_on(world, one, today, starts_on, is_plan=survey_id is None, stands=stands)
            for asked_on, asked_by in asked_in_replay[person] if person else ():
                if counts_for(world, survey, asked_by) and (today - asked_on).days < survey.cooldown.days:
                    one.fails.add("cooldown")
                elif (today - asked_on).days < wished_days_on(world, person, today):
                    one.fails.add("cooldown")
                    one.too_soon.add("replayed")
            one.waits = None
            if today < slot_of(who):
                one.waits = "wave_slot"
            elif survey.business_hours and not is_working_day(survey.business_hours, today):
                one.waits = "business_hours"  # by the calendar: a replay has no time of day
            (waiting if one.waits else ready).append(one)
        taken: dict[str | None, str] = {}
        for one in sorted(ready, key=lambda one: one.candidate.order):
            contact = world.people.get(one.candidate.contact_id)
            person = person_of(contact.email) if contact else None
            one.decided_on = today
            if not one.fails and person in taken:
                one.fails.add("one_per_wave")
            one.decision = "skip" if one.fails else "ask"
            if one.decision == "ask":
                taken[person] = one.candidate.survey.id
            done[one.candidate.id] = one
        for person, asked_by in taken.items():
            asked_in_replay[person].append((today, asked_by))
        looked_at = waiting
        today += DAY
    for one in looked_at:  # the days are over, and it still waits
        one.decision = "skip" if one.fails else "defer"
        done[one.candidate.id] = one
    return done


def _fails_on(
    world: World, one: Replayed, today: dt.date, starts_on: dt.date, *, is_plan: bool, stands: Any
) -> set[str]:
    """The rules that look at a day: a list entry, an ask or an answer of that very day counts, at whatever hour."""
    fails = set()
    candidate, survey = one.candidate, one.candidate.survey
    contact = world.people.get(candidate.contact_id)
    person = person_of(contact.email) if contact else None
    for subject, subject_id in (("contact", candidate.contact_id), ("account", asked_account(world, candidate))):
        moments = {day(today)} | {
            entry.at for entry in world.entries[subject, subject_id or ""] if entry.at.date() == today
        }
        if any(is_excluded(world, subject, subject_id, at) for at in moments):
            fails.add("excluded")
    told = [at for _, _, at in world.ends.get(person or "", ())]
    told += [wish.at for wish in world.wishes_of.get((person or "", survey.id), ())]
    moments = {day(today)} | {at for at in told if at.date() == today}
    if any(gets_no_mail(world, person, at) or is_unwanted(world, person, survey.id, at) for at in moments):
        fails.add("suppressed")
    moment = max(day(today), candidate.due_at) if today == one.due_on else day(today)
    if is_plan and today == starts_on:
        moment = max(moment, world.as_of)
    if moment > candidate.expires_at:
        fails.add("expired")
    wished = wished_days_on(world, person, today)
    for past in met(world, candidate):
        days = (today - past.at.date()).days
        if days >= 0 and stands(past):
            if past.what == "answered" and days < survey.skip_after_response_days:
                fails.add("recent_response")
            is_counted = past.what == "asked" and counts_for(world, survey, past.survey_id)
            if is_counted and days < survey.cooldown.days:
                fails.add("cooldown")
            elif past.what == "asked" and days < wished:
                fails.add("cooldown")
                one.too_soon.add("real")
    return fails


def wished_days_on(world: World, person: str | None, today: dt.date) -> int:
    """The most days that a wish which stood at some hour of the day asks for."""
    made = {wish.at for wish in world.wishes_of.get((person or "", "all"), ()) if wish.at.date() == today}
    return max(wished_days(world, person, at) for at in made | {day(today)})
