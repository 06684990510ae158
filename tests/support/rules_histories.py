"""Random histories for the rules: a company of many small islands, each account with its people and what happens there."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from closedloop.programme import Survey
from tests.support import rules_model as model
from tests.support.rules_workshop import survey

DAY, HOUR, MINUTE = dt.timedelta(days=1), dt.timedelta(hours=1), dt.timedelta(minutes=1)
START = dt.datetime(2026, 2, 2)  # noqa: DTZ001
"""The surveys begin here, in naive UTC; clocks change and short months end in the weeks that follow."""
END = START + 70 * DAY

ZONES = (
    *("Europe/Berlin", "America/New_York", "Asia/Kolkata", "America/Sao_Paulo", "Pacific/Kiritimati", "Pacific/Apia"),
    *("UTC", None, "Atlantis/Capital"),
)
TIERS = ("Gold", "Silver", "Bronze", None)
HOW_OFTEN = (10, 30, 90)
"""More often than the preference page lets one choose, for a wish to end within a history."""
WISHED = ("tickets", "orders", "monthly", "pulse", "yearly", "dates", "sampled", "milestones")
TYPES = ("Customer", "Customer - Direct", None, "Prospect", "Partner")


def random_surveys(rng: random.Random) -> dict[str, Survey]:
    """A dozen surveys that have every trigger, rule and scope between them; what else they say is drawn."""

    def settings(**fixed: Any) -> dict[str, Any]:
        family = fixed.pop("family", None) or rng.choice(["care", "sales", None])
        scope = fixed.pop("scope", None) or rng.choice(["global", "survey", "family" if family else "survey"])
        return {
            "priority": rng.choice([10, 20, 30, 100]),
            "family": family,
            "cooldown": {"days": rng.choice([0, 1, 7, 14, 28]), "scope": scope},
            "skip_after_response_days": rng.choice([0, 1, 7, 30]),
            "max_age_days": rng.choice([5, 8, 14, 20]),
            **fixed,
        }

    def hours() -> dict[str, Any]:
        return {
            "opens": rng.choice(["08:30", "09:00", "00:00"]),
            "closes": rng.choice(["12:00", "17:00", "23:59"]),
            "days": rng.choice([["mon", "tue", "wed", "thu", "fri"], ["tue", "sat"]]),
            "holidays": [str((START + rng.randrange(70) * DAY).date()) for _ in range(6)],
            "time_zone": rng.choice(["Europe/Berlin", "America/New_York", "UTC"]),
        }

    all_settings: dict[str, dict[str, Any]] = {
        "deals": settings(
            triggers=[
                {"event": "deal_won", "delay_days": rng.randrange(4)},
                {"event": "deal_lost", "contacts": "all", "max_age_days": 3},
            ],
            audience={"where": "account.region != 'APAC' and not contact.role = 'Intern'"},
        ),
        "tickets": settings(
            triggers=[{"event": "ticket_resolved", "delay_days": 1}, {"event": "support_contact"}],
            scope="survey",
            cooldown={"days": 0, "scope": "survey"},
            skip_after_response_days=0,
        ),
        "orders": settings(
            triggers=[{"event": "order_delivered", "delay_days": rng.randrange(3)}, {"event": "purchase"}],
            business_hours=hours(),
            family="care",
            scope="family",
        ),
        "projects": settings(
            triggers=[{"event": "project_finished", "contacts": "all"}, {"event": "onboarding_completed"}],
            account_cap={"invitations": rng.choice([1, 2]), "days": rng.choice([7, 30])},
            cooldown={"days": 1, "scope": "global"},
            skip_after_response_days=1,
        ),
        "renewals": settings(
            triggers=[
                {"event": "contract_renewed"},
                {"event": "before_renewal", "days_before": rng.randrange(20), "contacts": "all"},
            ],
            audience={
                "where": "account.contract_value >= 10000 or account.tier is empty or account.Health__c = 'green'"
            },
            family="care",
            scope="family",
        ),
        "prospects": settings(
            triggers=[{"event": "sign_up"}, {"event": "sign_up", "kind": "trial", "delay_days": 2}],
            in_headline=False,
        ),
        "losses": settings(
            triggers=[{"event": "customer_lost", "delay_days": 1}],
            audience={
                "where": "contact.role in ['Buyer', 'User'] or contact.is_primary = true or contact.role is empty"
            },
        ),
        "milestones": settings(
            triggers=[
                {"event": "field_changed", "field": "Health__c"},
                {"event": "field_changed", "field": "Tier__c", "to": ["Gold", "Silver", "Gold"], "contacts": "all"},
                {"event": "field_changed", "object": "case", "field": "Priority", "to": ["High"], "delay_days": 1},
            ],
        ),
        "monthly": settings(
            triggers=[{"event": "schedule_monthly"}, {"event": "schedule_monthly", "day_of_month": 31}],
            wave={"spread_days": rng.choice([2, 5])},
            audience={
                "where": "account.customer_days > 30 and account.open_cases < 3 and contact.created_on < '2026-03-15'"
            },
        ),
        "pulse": settings(
            triggers=[{"event": "schedule_quarterly"}],
            business_hours=hours(),
            wave={"spread_days": rng.choice([2, 4])},
            cooldown={"days": 28, "scope": "global"},
        ),
        "yearly": settings(
            triggers=[
                {"event": "schedule_annual"},
                {"event": "schedule_biannual", "delay_days": 1},
                {"event": "customer_anniversary", "after_months": rng.choice([1, 6, 12])},
                {"event": "customer_age", "after_days": rng.choice([30, 90]), "contacts": "all"},
                {"event": "customer_age", "after_days": 30 * rng.choice([2, 4]) + 1, "delay_days": 2},
            ],
            type="relationship",
            family="sales",
            scope="family",
        ),
        "dates": settings(
            triggers=[{"event": "fixed_dates", "dates": ["02-28", "02-29", "03-31"]}],
            audience={"where": "not account.tier = 'Bronze'"},
            account_cap={"invitations": 2, "days": 10},
            type="relationship",
        ),
        "sampled": settings(
            triggers=[{"event": "fixed_dates", "dates": ["03-15"]}],
            sample={"by": "account.tier", "half_width": 45, "seed": rng.randrange(9), "response_rate": 0.3},
            cooldown={"days": 1, "scope": "survey"},
            # Drawn anew at each evaluation while some wait: nobody's place may move.
            wave={"spread_days": 9},
            max_age_days=14,
            type="relationship",
        ),
        "nobody": settings(
            triggers=[{"event": "ticket_resolved"}],
            audience={"where": "account.NeverBrought__c is empty"},
        ),
    }
    return {survey_id: survey(survey_id, **one) for survey_id, one in all_settings.items()}


def programme_changes(rng: random.Random, surveys: dict[str, Survey]) -> Iterator[model.Programme]:
    """The programmes, and how their files change in between."""
    before = START - 100 * DAY
    for survey_id, one in surveys.items():
        begins = START - rng.choice([0, 3, 60]) * DAY
        yield model.Programme(one.model_copy(update={"status": "draft"}), before, "draft")
        if survey_id != "losses":
            yield model.Programme(one, begins, "active")
    yield model.Programme(surveys["losses"], START + 12 * DAY, "active")
    changed = _dumped(surveys["deals"])
    changed["cooldown"] = {"days": 3, "scope": "global"}
    changed["triggers"][0]["delay_days"] = 1
    yield model.Programme(Survey.model_validate(changed), START + 20 * DAY, "active")
    paused = surveys["milestones"].model_copy(update={"status": "paused"})
    yield model.Programme(paused, START + 18 * DAY, "paused")
    yield model.Programme(surveys["milestones"], START + 40 * DAY, "active")
    yield model.Programme(surveys["nobody"], START + 50 * DAY, "removed")


def _dumped(one: Survey) -> dict[str, Any]:
    """A definition as a file would say it, without what is computed of it."""
    found = one.model_dump(mode="json")
    found["audience"].pop("clauses", None)
    for trigger in found["triggers"]:
        trigger.pop("key", None)
    return found


class Island:
    """An account, its people, and all that happens to them from some weeks before the start to the end."""

    def __init__(self, rng: random.Random, number: int) -> None:
        self.rng, self.name = rng, f"a{number:04d}"
        self.facts: list[Any] = []
        self.clock: dict[str, tuple[dt.datetime, dt.datetime]] = {}
        self.contacts: list[str] = []
        self.now: dict[str, Any] = {}

    def time(self, first: dt.datetime = START - 30 * DAY, last: dt.datetime = END) -> dt.datetime:
        return first + self.rng.random() * (last - first) // MINUTE * MINUTE

    def write(self, record: Any, at: dt.datetime, *, kind: type | None = None, lag: dt.timedelta | None = None) -> None:
        """A record changes in the CRM, and some export brings it later; what changed later never arrives earlier."""
        kind, key = kind or type(record), record if isinstance(record, str) else record.id
        lag = self.rng.choice([MINUTE, HOUR, 5 * HOUR, 2 * DAY]) if lag is None else lag
        changed_at, arrived_at = self.clock.get(key, (at - MINUTE, at))
        at = max(at, changed_at + MINUTE)
        known_at = max(at + lag, arrived_at + MINUTE)
        if isinstance(record, str):
            at = known_at  # an export without it says that it is gone
        self.clock[key] = (at, known_at)
        if isinstance(record, str):
            self.facts.append(model.Version(kind, key, at, known_at, None))
        else:
            self.now[key] = record
            self.facts.append(model.Version(kind, key, at, known_at, record))

    def maybe(self, share: float) -> bool:
        return self.rng.random() < share

    def live(self) -> list[Any]:
        """Everything that happens here."""
        self.found()
        happenings = []
        for kind, often in (
            (self.ticket, 2.0), (self.order, 1.0), (self.deal, 0.7), (self.project, 0.5), (self.contract, 0.4),
            (self.onboarding, 0.4), (self.sign_up, 0.8), (self.change_account, 1.5), (self.change_contact, 1.2),
            (self.list_entry, 0.4), (self.imported, 0.2), (self.wish, 1.0),
        ):  # fmt: skip
            count = int(often) + self.maybe(often % 1)
            happenings += [(self.time(), kind) for _ in range(count * self.rng.choice([0, 1, 2]))]
        for at, kind in sorted(happenings, key=lambda one: one[0]):
            kind(at)
        return self.facts

    def found(self) -> None:
        rng = self.rng
        created = START - rng.randrange(1, 800) * DAY - rng.randrange(24 * 60) * MINUTE
        since = rng.choice(
            [None, created.date() - rng.randrange(400) * DAY, (START - rng.choice([25, 40, 85]) * DAY).date()]
        )
        account = model.Account(
            self.name, created, rng.choice(TYPES[:3] if self.maybe(0.8) else TYPES), rng.choice(TIERS),
            rng.choice(["EMEA", "APAC", None]), rng.choice(["5000", "10000.0", "20000", "", "n/a", None]), since,
            rng.choice([None, (START + rng.randrange(90) * DAY).date()]), rng.choice(["green", "red", None]),
        )  # fmt: skip
        self.write(account, created)
        for place in range(rng.choice([2, 4, 6, 8])):
            key = f"{self.name}c{place}"
            born = rng.choice([
                *(START - rng.randrange(1, 900) * DAY + rng.randrange(24 * 60) * MINUTE for _ in range(6)),
                dt.datetime(2024, 2, 29, 22, 30), dt.datetime(2025, 8, 31, 3), dt.datetime(2025, 1, 30, 12), None,  # noqa: DTZ001
            ])  # fmt: skip
            address = f"{key}@{self.name}.example"
            if self.maybe(0.08) and place:
                address = f" {self.name}C0@{self.name}.EXAMPLE "  # the first one's, written otherwise
            if self.maybe(0.02):
                address = f"shared@{int(self.name[1:]) // 2}.example"  # across two accounts
            if self.maybe(0.04):
                address = rng.choice(["", "no sign", "a@@b.example", "@nobody.example", "a b@c.example"])
            self.write(
                model.Contact(
                    key, born, self.name if self.maybe(0.97) else None, address,
                    rng.choice(["Buyer", "User", "Intern", None]), self.maybe(0.4), rng.choice(ZONES), self.maybe(0.03),
                ),
                born or START - 200 * DAY,
            )  # fmt: skip
            self.contacts.append(key)

    def somebody(self) -> str | None:
        return self.rng.choice([*self.contacts, None]) if self.maybe(0.9) else self.rng.choice(self.contacts[:1])

    def key(self, kind: str) -> str:
        return f"{self.name}{kind}{len(self.facts)}"

    def ticket(self, at: dt.datetime) -> None:
        priority = self.rng.choice(["High", "Low", None])
        one = model.Ticket(self.key("t"), at, self.name if self.maybe(0.95) else None, self.somebody(), None, priority)
        self.write(one, at)
        at += self.rng.choice([HOUR, 2 * DAY])
        if self.maybe(0.5):
            one = replace(one, priority="High")
            self.write(one, at)
        if self.maybe(0.8):
            # Entered days later, some of them.
            closed = replace(one, closed_at=at)
            self.write(closed, at, lag=self.rng.choice([MINUTE, HOUR, 9 * DAY]))
            if self.maybe(0.1):
                self.write(replace(one, closed_at=at + 3 * DAY), at + 3 * DAY)
        if self.maybe(0.03):
            self.write(one.id, at + 5 * DAY, kind=model.Ticket)

    def order(self, at: dt.datetime) -> None:
        placed = (at - self.rng.choice([0, 0, 7]) * DAY).date()  # entered today for last week
        one = model.Order(self.key("o"), at, self.name, self.somebody(), placed, status="Activated")
        self.write(one, at)
        status = self.rng.choice(["Delivered", "Delivered", None, "Cancelled"])
        later = at + 2 * DAY
        self.write(replace(one, delivered_on=(later + self.rng.choice([0, 4]) * DAY).date(), status=status), later)

    def deal(self, at: dt.datetime) -> None:
        is_won = self.maybe(0.6)
        one = model.Deal(self.key("d"), at, self.name, is_won, True, at.date(), self.somebody())
        self.write(one, at, lag=self.rng.choice([MINUTE, HOUR, 4 * DAY]))

    def project(self, at: dt.datetime) -> None:
        one = model.Project(self.key("p"), at - 40 * DAY, self.name, None)
        self.write(one, at - 40 * DAY)
        self.write(replace(one, finished_on=at.date()), at)

    def contract(self, at: dt.datetime) -> None:
        renewed = self.rng.choice([at.date(), None])
        self.write(model.Contract(self.key("k"), at, self.name, self.maybe(0.8), at.date(), renewed), at)

    def onboarding(self, at: dt.datetime) -> None:
        for _ in range(2):
            one = model.Task(self.key("n"), at, self.name, self.rng.choice(["Onboarding: setup", "onboarding call"]))
            self.write(one, at)
            self.write(replace(one, is_closed=True, completed_at=at + 4 * HOUR), at + 4 * HOUR)
            at += DAY
        self.write(model.Task(self.key("n"), at, self.name, "Call back"), at)

    def sign_up(self, at: dt.datetime) -> None:
        kind = self.rng.choice(["trial", "content", "Trial"])
        if self.maybe(0.3):
            self.write(model.SignUp(self.key("s"), at, kind, at.date(), contact_id=self.rng.choice(self.contacts)), at)
            return
        email = f"{self.name}lead{len(self.facts)}@{self.name}.example"
        email = self.rng.choice([email, email, f"{self.contacts[0]}@{self.name}.example", ""])
        lead = model.Lead(self.key("l"), at, email, self.maybe(0.05))
        self.write(lead, at)
        self.write(model.SignUp(self.key("s"), at, kind, at.date(), lead_id=lead.id), at)
        if self.maybe(0.3):
            later = at + self.rng.choice([HOUR, 3 * DAY])
            contact = model.Contact(self.key("c"), later, self.name, email)
            self.write(contact, later)
            self.contacts.append(contact.id)
            converted = contact.id if self.maybe(0.9) else None
            self.write(replace(lead, is_converted=True, converted_contact_id=converted), later)
        elif self.maybe(0.05):
            self.write(lead.id, at + 2 * DAY, kind=model.Lead)

    def change_account(self, at: dt.datetime) -> None:
        one, rng = self.now[self.name], self.rng
        what = rng.choice(["tier", "tier", "health", "health", "type", "renewal", "lost", "gone"])
        if what == "tier":
            self.write(replace(one, tier=rng.choice(TIERS)), at)
        elif what == "health":
            self.write(replace(one, health=rng.choice(["green", "red", "amber", None])), at)
        elif what == "type":
            self.write(replace(one, type=rng.choice(TYPES)), at)
        elif what == "renewal":
            self.write(replace(one, renewal_date=(at + rng.randrange(30) * DAY).date()), at)
        elif what == "lost":
            self.write(replace(one, type=rng.choice(["Churned", "Former Customer"])), at)
            if self.maybe(0.5):  # a slip, put right and done again on one day
                self.write(replace(one, type="Customer"), at + MINUTE)
                if self.maybe(0.5):
                    self.write(replace(one, type="Churned"), at + 2 * MINUTE)
        elif self.maybe(0.15):
            self.write(self.name, at, kind=model.Account)
            if self.maybe(0.5):
                self.write(one, at + 6 * DAY)

    def change_contact(self, at: dt.datetime) -> None:
        rng = self.rng
        key = rng.choice(self.contacts)
        one = self.now[key]
        what = rng.choice(["primary", "primary", "opt", "email", "zone", "role", "gone", "move"])
        if what == "primary":
            for other in self.contacts[:3]:
                if self.now[other].is_primary:
                    self.write(replace(self.now[other], is_primary=False), at)
            self.write(replace(self.now[key], is_primary=True), at)
        elif what == "opt":
            self.write(replace(one, opted_out=not one.opted_out), at)
        elif what == "email":
            self.write(replace(one, email=f"new{len(self.facts)}@{self.name}.example"), at)
        elif what == "zone":
            self.write(replace(one, time_zone=rng.choice(ZONES)), at)
        elif what == "role":
            self.write(replace(one, role=rng.choice(["Buyer", "Intern", None])), at)
        elif what == "move":
            self.write(
                replace(one, account_id=None if self.maybe(0.3) else f"a{max(0, int(self.name[1:]) - 1):04d}"), at
            )
        else:
            self.write(key, at, kind=model.Contact)
            if self.maybe(0.4):
                self.write(one, at + 4 * DAY)

    def list_entry(self, at: dt.datetime) -> None:
        subject = self.rng.choice(["contact", "account", "address"])
        known_at = at + self.rng.choice([MINUTE, DAY])
        if subject == "address":
            address = self.now[self.rng.choice(self.contacts)].email
            if person := model.person_of(address):
                reason = self.rng.choice(["asked us", "unsubscribed"])
                entry = model.Listed(0, "suppressed_address", "address", person, at, known_at, reason=reason)
                self.facts += [entry, *taken_back(self.rng, person, at)]
            return
        subject_id = self.name if subject == "account" else self.rng.choice(self.contacts)
        until = self.rng.choice([None, at + 5 * DAY, at + 20 * DAY])
        self.facts.append(model.Listed(0, "excluded", subject, subject_id, at, at + MINUTE, until))
        if self.maybe(0.5):
            later = at + self.rng.choice([HOUR, 3 * DAY, 12 * DAY])
            kind = self.rng.choice(["exclusion_removed", "excluded"])
            until = later + 2 * DAY if kind == "excluded" else None
            self.facts.append(model.Listed(0, kind, subject, subject_id, later, later + MINUTE, until))

    def wish(self, at: dt.datetime) -> None:
        """Somebody chooses surveys and how often, and changes that later; what was told first may have come last."""
        rng = self.rng
        person = model.person_of(self.now[rng.choice(self.contacts)].email)
        if person is None:
            return
        days = rng.choice([*HOW_OFTEN, None])
        unwanted = set(rng.sample(WISHED, rng.choice([0, 1, 5])))
        for _ in range(rng.choice([1, 1, 2, 3])):
            known_at = at + rng.choice([MINUTE, MINUTE, HOUR, 3 * DAY])
            self.facts += [model.Wish(0, person, one, at, known_at, one not in unwanted) for one in WISHED]
            self.facts.append(model.Wish(0, person, "all", at, known_at, True, days))
            at += rng.choice([5 * HOUR, 2 * DAY, 12 * DAY])
            days = rng.choice([*HOW_OFTEN, None])
            unwanted ^= {rng.choice(WISHED)}

    def imported(self, at: dt.datetime) -> None:
        key = self.rng.choice(self.contacts)
        contact_id, email = self.rng.choice([(key, None), (None, self.now[key].email), (key, self.now[key].email)])
        if contact_id or model.person_of(email):
            survey_id = self.rng.choice(["Old tool", "tickets", "yearly", "dates"])
            self.facts.append(
                model.Imported(self.key("i"), survey_id, contact_id, email, at, at + 2 * DAY, self.maybe(0.5))
            )


def taken_back(rng: random.Random, person: str, at: dt.datetime) -> Iterator[model.Listed]:
    """Somebody subscribes again, perhaps, and leaves once more; it may be told before the unsubscribe itself."""
    if rng.random() < 0.6:
        at += rng.choice([HOUR, 5 * DAY])
        yield model.Listed(0, "resubscribed", "address", person, at, at + rng.choice([MINUTE, DAY]))
        if rng.random() < 0.3:
            at += 3 * DAY
            yield model.Listed(0, "suppressed_address", "address", person, at, at + MINUTE, reason="unsubscribed")


def after_asks(rng: random.Random, asked: list[model.Decision]) -> Iterator[Any]:
    """What becomes of each invitation: the mail goes out or does not, is reminded of, bounces, is answered."""
    for one in asked:
        at = one.sealed_at + rng.choice([5 * MINUTE, HOUR, DAY])
        lag = rng.choice([MINUTE, MINUTE, 2 * DAY])  # a send that is confirmed after the next build
        state = rng.choice(["sent"] * 6 + ["rejected", "suppressed", "uncertain", "pending"])
        if state == "pending":
            continue
        yield model.Mail(0, state, one.candidate_id, at, at + lag)
        if state == "uncertain" and rng.random() < 0.5:
            yield model.Mail(0, rng.choice(["sent", "rejected"]), one.candidate_id, at + 2 * HOUR, at + lag + 2 * HOUR)
        if state != "sent":
            continue
        later = at + rng.choice([30 * MINUTE, 20 * HOUR, 4 * DAY])
        chance = rng.random()
        if chance < 0.2:
            yield model.Answer(0, one.candidate_id, later, later + MINUTE)
            if rng.random() < 0.1:
                yield model.Answer(0, one.candidate_id, later + DAY, later + DAY, voided=True)
            if rng.random() < 0.2:
                yield model.Mail(0, "bounced", one.candidate_id, later, later + MINUTE, "alert", is_hard=True)
        elif chance < 0.28:
            yield model.Mail(0, "unsubscribed", one.candidate_id, later, later + MINUTE)
            if one.person:
                known_at = later + rng.choice([MINUTE, DAY])
                yield model.Listed(
                    0, "suppressed_address", "address", one.person, later, known_at, reason="unsubscribed"
                )
                yield from taken_back(rng, one.person, later)
        elif chance < 0.36:
            yield model.Mail(0, "bounced", one.candidate_id, later, later + HOUR, is_hard=rng.random() < 0.5)
        elif chance < 0.5:
            yield model.Mail(0, "sent", one.candidate_id, later, later + MINUTE, "reminder")


def in_order(facts: Iterable[Any], known: int) -> list[Any]:
    """Facts in their order of arrival; those of the ledger get its next numbers, `known` facts being there already."""
    return [
        replace(fact, seq=number) if hasattr(fact, "seq") else fact
        for number, fact in enumerate(sorted(facts, key=lambda fact: fact.known_at), start=known + 1)
    ]


def histories(rng: random.Random, islands: int) -> list[Any]:
    """All facts of the CRM, the lists and other tools."""
    return [fact for number in range(islands) for fact in Island(rng, number).live()]
