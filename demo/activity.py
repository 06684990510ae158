"""What the accounts do: deals, support cases, orders, projects, and the rest of a CRM. Epoch seconds, UTC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.columns import DAY, HOUR, NEVER
from demo.dice import Dice, office_hours, pick
from demo.people import SUPPORT, Accounts, Contacts, Era, Staff

# (name, code, family, what an order line of it is called)
PRODUCTS = (
    ("Northwind Analytics", "NW-ANA", "Platform", "Software"),
    ("Northwind Connect", "NW-CON", "Platform", "Software"),
    ("Northwind Desk", "NW-DSK", "Applications", "Software"),
    ("Northwind Flow", "NW-FLW", "Applications", "Software"),
    ("Northwind Vault", "NW-VLT", "Infrastructure", "Hardware"),
    ("Onboarding Package", "NW-ONB", "Services", "Services"),
    ("Premium Support", "NW-SUP", "Services", "Services"),
    ("Training Days", "NW-TRN", "Services", "Training"),
)
MAIN_PRODUCTS = 5


@dataclass(frozen=True)
class Deals:
    account: np.ndarray
    created: np.ndarray
    closed: np.ndarray  # NEVER: still open
    planned: np.ndarray  # what the rep promises while it is open
    won: np.ndarray
    owner: np.ndarray
    amount: np.ndarray
    product: np.ndarray
    contact: np.ndarray  # in the primary role
    deleted: np.ndarray


@dataclass(frozen=True)
class Cases:
    account: np.ndarray
    contact: np.ndarray
    created: np.ndarray
    closed: np.ndarray  # NEVER: still open
    agent: np.ndarray
    priority: np.ndarray
    reason: np.ndarray
    deleted: np.ndarray


@dataclass(frozen=True)
class Visits:
    """Anything else that belongs to an account: when it began, when it was done, and a few codes of its own."""

    account: np.ndarray
    contact: np.ndarray
    created: np.ndarray
    done: np.ndarray
    deleted: np.ndarray
    kind: np.ndarray
    number: np.ndarray  # a size, an amount or an ordinal, as the object needs it


def _active_accounts(
    per_account: np.ndarray, accounts: Accounts, era: Era, chance: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Accounts drawn by their mean count, each with a moment of its life as a customer within the era."""
    account = np.repeat(np.arange(len(accounts)), chance.poisson(per_account))
    begin = np.maximum(np.minimum(accounts.customer_since, era.end)[account], era.start - 30 * DAY)
    end = np.minimum(np.minimum(accounts.churned_at, accounts.deleted)[account], era.end)
    moment = begin + (chance.random(len(account)) * np.maximum(end - begin, 0)).astype(np.int64)
    lives = end > begin + 20 * DAY
    return account[lives], moment[lives]


def strike_deals(dice: Dice, era: Era, accounts: Accounts, contacts: Contacts) -> Deals:
    """The deal that made each new customer, later ones, and those that prospects did not sign."""
    chance = dice("deals")
    firsts = np.flatnonzero((accounts.customer_since > era.start) & (accounts.customer_since < NEVER))
    later, moment = _active_accounts(np.array([8.5, 5.2, 3.2])[accounts.tier_before], accounts, era, chance)
    courted = np.flatnonzero((accounts.customer_since >= NEVER) & ~accounts.partner)
    courted = np.repeat(courted, chance.integers(1, 4, len(courted)))
    account = np.concatenate([firsts, later, courted])
    closed = np.concatenate([
        accounts.customer_since[firsts],
        moment,
        era.start + (chance.random(len(courted)) * (era.end - era.start)).astype(np.int64),
    ])  # fmt: skip
    is_first, is_courted = np.arange(len(account)) < len(firsts), np.arange(len(account)) >= len(firsts) + len(later)
    won = is_first | (~is_courted & (chance.random(len(account)) < 0.62))
    closed = np.where(is_first, closed, office_hours(closed, chance, latest=era.end))

    # The last fortnight is a good one: enough deals of the last days that the demo has someone to ask.
    customers = np.flatnonzero((accounts.customer_since < era.end - 200 * DAY) & (accounts.churned_at >= NEVER))
    recent = customers[chance.integers(0, len(customers), max(len(accounts) // 20, 4))] if len(customers) else customers
    account = np.concatenate([account, recent])
    days_ago = np.arange(len(recent)) % 8 + 3
    closed = np.concatenate([closed, era.end - days_ago * DAY + 15 * HOUR])
    won = np.concatenate([won, np.ones(len(recent), bool)])

    count = len(account)
    length = (chance.lognormal(3.9, 0.5, count) * DAY).astype(np.int64) + 5 * DAY
    created = np.maximum(closed - length, accounts.created[account] + 3 * HOUR)
    # Some of those that would close after a while are still open at the end.
    still_open = ~won & (closed > era.end - 75 * DAY) & (chance.random(count) < 0.7)
    slip = chance.integers(-20, 60, count) * DAY
    alive = (created < closed) & (accounts.deleted[account] > closed)
    deleted = np.where(chance.random(count) < 0.01, closed + 40 * DAY, NEVER)
    deals = Deals(
        account=account, created=created, closed=np.where(still_open, NEVER, closed),
        planned=np.where(still_open, era.end + np.abs(slip), closed + slip), won=won & ~still_open,
        owner=accounts.owner_at(account, np.where(still_open, created, closed)),
        amount=np.rint(accounts.value[account] * chance.lognormal(-0.6, 0.5, count) / 10) * 10,
        product=np.where(
            chance.random(count) < 0.55, accounts.product[account], chance.integers(0, len(PRODUCTS), count)
        ),
        contact=contacts.some_of(account, created, chance),
        deleted=np.minimum(deleted, accounts.deleted[account]),
    )  # fmt: skip
    return Deals(*(values[alive] for values in vars(deals).values()))


REASONS = ("Performance", "Billing", "Login", "Integration", "Data quality", "How-to", "Outage", "Feature request")
PRIORITIES = ("Low", "Medium", "High", "Critical")


def raise_cases(dice: Dice, era: Era, accounts: Accounts, contacts: Contacts, staff: Staff) -> Cases:
    """About two cases per contact over the era. Support is slow until its reform ten months before the end."""
    chance = dice("cases")
    size = np.bincount(contacts.account, minlength=len(accounts))
    account, created = _active_accounts(2.6 * size, accounts, era, chance)
    created = office_hours(created, chance, latest=era.end - 4 * HOUR)
    contact = contacts.some_of(account, created, chance)
    created = np.maximum(created, contacts.created[contact] + HOUR)
    reformed = created > era.end - 300 * DAY
    hours = chance.lognormal(np.where(reformed, 2.7, 3.6), 0.9, len(account))
    closed = created + (hours * HOUR).astype(np.int64) + HOUR // 2
    # As with the deals: a busy last fortnight, so that the demo has cases resolved 1 to 10 days ago.
    latest = np.argsort(created, kind="stable")[::-1][: max(dice.contacts // 60, 5)]
    wanted = era.end - (np.arange(len(latest)) % 9 + 1) * DAY + 11 * HOUR + np.arange(len(latest)) % 600 * 30
    closed[latest] = np.maximum(wanted, contacts.created[contact[latest]] + 3 * HOUR)
    created[latest] = np.maximum(np.minimum(created[latest], closed[latest] - 20 * HOUR),
                                 contacts.created[contact[latest]] + HOUR)  # fmt: skip
    agents = staff.of_team(SUPPORT)
    alive = (accounts.deleted[account] > closed) & (contacts.deleted[contact] > closed) & (created < era.end)
    cases = Cases(
        account=account, contact=contact, created=created, closed=np.where(closed < era.end, closed, NEVER),
        agent=agents[chance.integers(0, len(agents), len(account))],
        priority=pick((35, 42, 18, 5), len(account), chance),
        reason=pick((18, 12, 14, 16, 10, 17, 5, 8), len(account), chance),
        deleted=np.minimum(accounts.deleted[account], np.where(chance.random(len(account)) < 0.004,
                                                               closed + 9 * DAY, NEVER)),
    )  # fmt: skip
    order = np.argsort(created[alive], kind="stable")  # the case number counts up with time
    return Cases(*(values[alive][order] for values in vars(cases).values()))


def place_orders(dice: Dice, era: Era, accounts: Accounts, contacts: Contacts) -> Visits:
    chance = dice("orders")
    account, created = _active_accounts(np.array([4.0, 2.6, 1.6])[accounts.tier_before], accounts, era, chance)
    created = office_hours(created, chance, latest=era.end - HOUR)
    contact = contacts.some_of(account, created, chance)
    created = np.maximum(created, contacts.created[contact] + HOUR)
    done = created + chance.integers(2, 21, len(account)) * DAY
    return _kept(Visits(
        account, contact, created, np.where(chance.random(len(account)) < 0.96, done, NEVER),
        accounts.deleted[account], chance.integers(1, 4, len(account)), np.zeros(len(account), np.int64),
    ))  # fmt: skip


def run_projects(dice: Dice, era: Era, deals: Deals) -> Visits:
    """A delivery project follows about a third of the deals won; `contact` holds the deal, `number` its margin in %."""
    chance = dice("projects")
    deal = np.flatnonzero(deals.won & (chance.random(len(deals.account)) < 0.35) & (deals.closed < era.end - 5 * DAY))
    created = deals.closed[deal] + chance.integers(1, 4, len(deal)) * DAY
    done = created + chance.integers(20, 150, len(deal)) * DAY
    margin = np.rint(chance.normal(24, 18, len(deal))).astype(np.int64)
    return _kept(Visits(deals.account[deal], deal, created, done, deals.deleted[deal], margin % 5, margin))


def sign_contracts(era: Era, accounts: Accounts) -> Visits:
    """One contract a year and customer, from the later of its start and two years before the era; `number` counts."""
    account = np.flatnonzero(accounts.customer_since < era.end)
    since = accounts.customer_since[account]
    parts = []
    for year in range(7):
        start = since + year * 365 * DAY
        end = np.minimum(accounts.churned_at[account], accounts.deleted[account])
        holds = (start < np.minimum(end, era.end)) & (start > era.start - 2 * 365 * DAY)
        parts.append((account[holds], start[holds], np.full(int(holds.sum()), year)))
    owner, start, number = (np.concatenate(column) for column in zip(*parts, strict=True))
    signed = np.maximum(start - 12 * DAY, accounts.created[owner] + 4 * HOUR)
    return _kept(Visits(owner, owner, signed, start, accounts.deleted[owner], np.where(number > 0, 1, 0), number))


ONBOARDING = ("Kick-off", "Import data", "Configure users", "First training", "Go live")
TASK_TYPES = ("Onboarding", "Call", "Email", "Meeting")


def assign_tasks(dice: Dice, era: Era, accounts: Accounts, contacts: Contacts) -> Visits:
    """Five onboarding steps for each new customer, and the calls, mails and meetings of everyday."""
    chance = dice("tasks")
    new = np.flatnonzero((accounts.customer_since > era.start) & (accounts.customer_since < era.end))
    step = np.tile(np.arange(len(ONBOARDING)), len(new))
    new = np.repeat(new, len(ONBOARDING))
    begun = accounts.customer_since[new] + HOUR
    finished = begun + (step + 1) * 6 * DAY + chance.integers(0, 5 * DAY, len(new))
    often, moment = _active_accounts(np.array([9.0, 5.0, 2.0])[accounts.tier_before], accounts, era, chance)
    moment = office_hours(moment, chance, latest=era.end - HOUR)
    account, created = np.concatenate([new, often]), np.concatenate([begun, moment])
    contact = contacts.some_of(account, created, chance)
    created = np.maximum(created, contacts.created[contact] + HOUR)
    done = np.concatenate([finished, moment + chance.integers(HOUR, 9 * DAY, len(often))])
    done = np.where(chance.random(len(account)) < 0.97, np.maximum(done, created + HOUR), NEVER)
    kind = np.concatenate([np.zeros(len(new), np.int64), 1 + pick((50, 30, 20), len(often), chance)])
    number = np.concatenate([step, np.zeros(len(often), np.int64)])
    return _kept(Visits(account, contact, created, done, accounts.deleted[account], kind, number))


def install_assets(dice: Dice, era: Era, accounts: Accounts, contacts: Contacts) -> Visits:
    """What a customer has in use; `kind` is the product, the first its main one."""
    chance = dice("assets")
    account = np.flatnonzero(accounts.customer_since < era.end)
    extra = np.repeat(account, chance.poisson(0.8, len(account)))
    kind = np.concatenate([accounts.product[account], chance.integers(0, len(PRODUCTS), len(extra))])
    account = np.concatenate([account, extra])
    created = accounts.customer_since[account] + chance.integers(1, 300, len(account)) * HOUR
    contact = contacts.some_of(account, created, chance)
    created = np.maximum(created, contacts.created[contact] + HOUR)
    number = chance.integers(1, 50, len(account))
    ended = accounts.churned_at[account]
    return _kept(Visits(account, contact, created, ended, accounts.deleted[account], kind, number))


def _kept(visits: Visits) -> Visits:
    """Without what would begin after its account was deleted."""
    lives = visits.created < visits.deleted
    return Visits(*(values[lives] for values in vars(visits).values()))
