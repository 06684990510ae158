"""Who there is: the vendor's staff, its accounts, and their contacts. All moments are epoch seconds, UTC."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import cached_property
from zoneinfo import ZoneInfo

import numpy as np

from demo.columns import DAY, HOUR, NEVER
from demo.dice import Dice, office_hours, pick
from demo.names import COMPANY_FIRST, COMPANY_SECOND, FIRST_NAMES, INDUSTRY_WORDS, LAST_NAMES, slug

REGIONS = ("North America", "EMEA", "APAC", "Latin America")
TIERS = ("Enterprise", "Mid-Market", "SMB")
INDUSTRIES = tuple(INDUSTRY_WORDS)
ROLES = ("Primary Contact", "Decision Maker", "User", "Billing")
ACCOUNT_TYPES = ("Customer", "Prospect", "Partner", "Former Customer")
CUSTOMER, PROSPECT, PARTNER, FORMER = range(4)

# Where the people of a region sit: (time zone, languages spoken there).
PLACES = (
    (("America/New_York", ("en",)), ("America/Chicago", ("en",)), ("America/Los_Angeles", ("en", "es")),
     ("America/Toronto", ("en", "fr"))),
    (("Europe/Berlin", ("de",)), ("Europe/London", ("en",)), ("Europe/Paris", ("fr",)), ("Europe/Madrid", ("es",)),
     ("Europe/Amsterdam", ("nl", "en"))),
    (("Asia/Tokyo", ("ja",)), ("Asia/Singapore", ("en",)), ("Asia/Kolkata", ("en",)), ("Australia/Sydney", ("en",))),
    (("America/Sao_Paulo", ("pt",)), ("America/Mexico_City", ("es",)), ("America/Bogota", ("es",))),
)  # fmt: skip
ZONES = tuple(sorted({zone for region in PLACES for zone, _ in region}))
_EPOCH = dt.date(1970, 1, 1)
LANGUAGES = ("de", "en", "es", "fr", "ja", "nl", "pt")


@dataclass(frozen=True)
class Era:
    """The time that the data cover: from `start` (24 months ago) to `end` (the last export)."""

    start: int
    end: int

    @property
    def days(self) -> int:
        return (self.end - self.start) // DAY


@dataclass(frozen=True)
class Staff:
    first: np.ndarray
    last: np.ndarray
    team: np.ndarray
    region: np.ndarray
    manager: np.ndarray  # -1: nobody above
    left_at: np.ndarray
    created: np.ndarray
    names: tuple[str, ...]
    emails: tuple[str, ...]

    def of_team(self, team: int) -> np.ndarray:
        return np.flatnonzero(self.team == team)


TEAMS = ("Management", "Sales Management", "Sales", "Customer Success", "Support")
MANAGEMENT, SALES_MANAGEMENT, SALES, SUCCESS, SUPPORT = range(5)


def hire_staff(dice: Dice, era: Era) -> Staff:
    """One head, a manager per region and team, and enough reps, success managers and agents for the size."""
    chance = dice("staff")
    reps = int(np.clip(dice.contacts // 125, 8, 400))
    helpers = max(reps // 2, 4)
    team = np.repeat([MANAGEMENT, SALES_MANAGEMENT, SALES, SUCCESS, SUPPORT], [3, 4, reps, helpers, helpers])
    count = len(team)
    region = np.zeros(count, np.int64)
    for group in (SALES_MANAGEMENT, SALES, SUCCESS, SUPPORT):
        members = np.flatnonzero(team == group)
        region[members] = np.arange(len(members)) % len(REGIONS)
    # Staff 0 leads all, 1 leads Customer Success, 2 leads Support, 3-6 lead a sales region each.
    manager = np.select([team == SALES, team == SUCCESS, team == SUPPORT], [3 + region, 1, 2], 0)
    manager[0] = -1
    left_at = np.full(count, NEVER)
    sellers = np.flatnonzero(team == SALES)
    leavers = sellers[len(REGIONS) :][::6]  # the first of each region stays, so that someone takes over
    left_at[leavers] = era.start + (chance.uniform(0.2, 0.9, len(leavers)) * (era.end - era.start)).astype(np.int64)
    first, last = chance.integers(0, len(FIRST_NAMES), count), chance.integers(0, len(LAST_NAMES), count)
    names, emails, seen = [], [], {}
    for given, family in zip(first, last, strict=True):
        names.append(f"{FIRST_NAMES[given]} {LAST_NAMES[family]}")
        box = f"{slug(FIRST_NAMES[given])}.{slug(LAST_NAMES[family])}"
        seen[box] = seen.get(box, 0) + 1
        emails.append(f"{box}{seen[box] if seen[box] > 1 else ''}@northwind.example")
    created = office_hours(era.start - chance.integers(60, 1500, count) * DAY, chance)
    return Staff(first, last, team, region, manager, left_at, created, tuple(names), tuple(emails))


@dataclass(frozen=True)
class Accounts:
    names: tuple[str, ...]
    domains: tuple[str, ...]
    region: np.ndarray
    industry: np.ndarray
    tier_before: np.ndarray
    tier_after: np.ndarray
    tier_changes_at: np.ndarray
    owner_before: np.ndarray
    owner_after: np.ndarray
    owner_changes_at: np.ndarray
    csm: np.ndarray
    parent: np.ndarray
    product: np.ndarray  # the main one that it uses
    partner: np.ndarray
    customer_since: np.ndarray
    churned_at: np.ndarray
    created: np.ndarray
    deleted: np.ndarray
    value: np.ndarray  # of the contract, a year
    adoption: np.ndarray  # 0-100, at the start
    adoption_drift: np.ndarray  # points a year

    def __len__(self) -> int:
        return len(self.created)

    def owner_at(self, account: np.ndarray, at: np.ndarray) -> np.ndarray:
        moved = at >= self.owner_changes_at[account]
        return np.where(moved, self.owner_after[account], self.owner_before[account])

    def tier_at(self, account: np.ndarray, at: np.ndarray) -> np.ndarray:
        moved = at >= self.tier_changes_at[account]
        return np.where(moved, self.tier_after[account], self.tier_before[account])

    def type_at(self, account: np.ndarray, at: np.ndarray) -> np.ndarray:
        since, churned = at >= self.customer_since[account], at >= self.churned_at[account]
        return np.where(self.partner[account], PARTNER, np.where(since, np.where(churned, FORMER, CUSTOMER), PROSPECT))

    def adoption_at(self, account: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Share of features in use, 0-100; it moves by quarters, each with a small surprise of its own."""
        quarter = at // (91 * DAY)
        surprise = ((account * 7919 + quarter * 104_729) % 1009) / 1009 * 16 - 8
        years = (at - self.created[account]) / (365 * DAY)
        return np.clip(self.adoption[account] + self.adoption_drift[account] * years + surprise, 0, 100)


def found_accounts(dice: Dice, era: Era, staff: Staff, products: int) -> Accounts:
    """About one account for five contacts, each with what will happen to it."""
    chance = dice("accounts")
    count = max(dice.contacts // 5, 6)
    region, tier = pick((42, 33, 15, 10), count, chance), pick((17, 33, 50), count, chance)
    industry = pick((34, 20, 16, 18, 12), count, chance)
    names, domains = _name_companies(count, industry, chance)

    kind = pick((80, 16, 4), count, chance)
    kind[0] = CUSTOMER
    span = era.end - era.start
    before = era.start - (chance.random(count) ** 1.3 * 4 * 365 * DAY).astype(np.int64)
    during = era.start + (chance.random(count) * 0.97 * span).astype(np.int64)
    since = np.where(chance.random(count) < 0.62, before, during)
    created = since - chance.integers(20, 140, count) * DAY
    created = office_hours(created, chance)
    since = np.where(kind == CUSTOMER, office_hours(since, chance), NEVER)
    since = np.where(since < NEVER, np.maximum(since, created + 5 * DAY), NEVER)

    def once(share: float) -> np.ndarray:
        """A moment within the era for this share of accounts, after they were created."""
        moment = office_hours(era.start + (chance.random(count) * span).astype(np.int64), chance)
        happens = (chance.random(count) < share) & (moment > created + 60 * DAY)
        return np.where(happens, moment, NEVER)

    churned = once(0.07)
    churned = np.where((since < NEVER) & (churned > since + 120 * DAY), churned, NEVER)
    moved = once(0.14)
    sellers, owner, heir = staff.of_team(SALES), np.zeros(count, np.int64), np.zeros(count, np.int64)
    success = staff.of_team(SUCCESS)
    csm = success[chance.integers(0, len(success), count)]
    for code in range(len(REGIONS)):
        here = np.flatnonzero(region == code)
        team = sellers[staff.region[sellers] == code]
        stay = team[staff.left_at[team] >= NEVER]
        owner[here] = team[chance.integers(0, len(team), len(here))]
        heir[here] = stay[chance.integers(0, len(stay), len(here))]
    changes = np.where(staff.left_at[owner] < NEVER, staff.left_at[owner], moved)
    gone_before = changes <= created  # whoever left before the account came never had it
    owner, changes = np.where(gone_before, heir, owner), np.where(gone_before, NEVER, changes)

    tier_after = np.clip(tier + np.where(chance.random(count) < 0.7, -1, 1), 0, 2)
    deleted = np.where(np.arange(count) > 0, once(0.012), NEVER)
    holdings = np.flatnonzero((deleted >= NEVER) & ((tier == 0) | (np.arange(count) == 0)))
    parent = np.where((chance.random(count) < 0.04) & (tier > 0), holdings[np.arange(count) % len(holdings)], -1)
    base = np.array([180_000, 48_000, 9_000])[tier]
    return Accounts(
        names=names, domains=domains, region=region, industry=industry,
        tier_before=tier, tier_after=tier_after, tier_changes_at=np.where(tier_after != tier, once(0.1), NEVER),
        owner_before=owner, owner_after=heir, owner_changes_at=np.where(heir != owner, changes, NEVER), csm=csm,
        parent=np.where(parent == np.arange(count), -1, parent), product=pick(np.arange(products, 0, -1), count, chance), partner=kind == PARTNER,
        customer_since=since, churned_at=churned, created=created,
        deleted=deleted,
        value=np.rint(base * chance.lognormal(0, 0.45, count) / 100) * 100,
        adoption=np.clip(chance.normal(56, 16, count), 5, 95), adoption_drift=chance.normal(3, 7, count),
    )  # fmt: skip


def _name_companies(count: int, industry: np.ndarray, chance: np.random.Generator) -> tuple[tuple[str, ...], ...]:
    """Names and mail domains; a domain is never used twice."""
    pairs = len(COMPANY_FIRST) * len(COMPANY_SECOND)
    order = chance.permutation(pairs)
    names, domains = [], []
    words = [INDUSTRY_WORDS[name] for name in INDUSTRIES]
    for number, code in enumerate(industry.tolist()):
        round_, place = divmod(number, pairs)
        head, tail = divmod(int(order[place]), len(COMPANY_SECOND))
        stem = COMPANY_FIRST[head] + COMPANY_SECOND[tail]
        again = f" {round_ + 1}" if round_ else ""
        names.append(f"{stem} {words[code][number % len(words[code])]}{again}")
        domains.append(f"{stem.lower()}{again.replace(' ', '-')}.example")
    return tuple(names), tuple(domains)


@dataclass(frozen=True)
class Contacts:
    """Ordered by account and then by when they were created; the first of each account is its primary contact."""

    account: np.ndarray
    created: np.ndarray
    deleted: np.ndarray
    first: np.ndarray
    last: np.ndarray
    ordinal: np.ndarray  # from 2 on: another person of the same name at the same account
    person: np.ndarray  # the contact that is the same person, itself for nearly all
    has_email: np.ndarray
    role_before: np.ndarray
    role_after: np.ndarray
    role_changes_at: np.ndarray
    title: np.ndarray
    is_primary: np.ndarray
    zone: np.ndarray
    language: np.ndarray
    opted_out_at: np.ndarray
    starts: np.ndarray  # the first contact of each account
    arrivals: np.ndarray  # sorted: account and moment in one number

    def __len__(self) -> int:
        return len(self.account)

    @cached_property
    def first_day(self) -> np.ndarray:
        """The day (days since 1970) on which each contact was created, where the contact is."""
        zones = [ZoneInfo(name) for name in ZONES]
        hours, where = np.unique(self.zone * 2**32 + self.created // HOUR, return_inverse=True)
        days = [
            (dt.datetime.fromtimestamp(int(hour % 2**32) * HOUR, zones[hour // 2**32]).date() - _EPOCH).days
            for hour in hours.tolist()
        ]
        return np.array(days, np.int64)[where]

    def midnights(self, contact: np.ndarray, day: np.ndarray) -> np.ndarray:
        """When a day begins where each contact is, in epoch seconds."""
        zones = [ZoneInfo(name) for name in ZONES]
        places, where = np.unique(self.zone[contact] * 2**32 + day, return_inverse=True)
        begins = [
            int(
                dt.datetime.combine(
                    _EPOCH + dt.timedelta(days=place % 2**32), dt.time(), zones[place // 2**32]
                ).timestamp()
            )
            for place in places.tolist()
        ]
        return np.array(begins, np.int64)[where]

    def role_at(self, contact: np.ndarray, at: np.ndarray) -> np.ndarray:
        return np.where(at >= self.role_changes_at[contact], self.role_after[contact], self.role_before[contact])

    def some_of(self, account: np.ndarray, at: np.ndarray, chance: np.random.Generator) -> np.ndarray:
        """For each account one of the contacts that it had at that moment (its first, if it had none yet)."""
        known = np.searchsorted(self.arrivals, _arrival(account, at), side="right") - self.starts[account]
        return self.starts[account] + (chance.random(len(account)) * np.maximum(known, 1)).astype(np.int64)


def _arrival(account: np.ndarray, at: np.ndarray) -> np.ndarray:
    return account * 2**33 + at


def meet_contacts(dice: Dice, era: Era, accounts: Accounts) -> Contacts:
    """Exactly as many contacts as asked for; larger accounts have more of them."""
    chance = dice("contacts")
    count = dice.contacts
    weights = np.array([9.0, 5.0, 2.5])[accounts.tier_before] * chance.lognormal(0, 0.35, len(accounts))
    further = pick(weights, count - len(accounts), chance)
    account = np.concatenate([np.arange(len(accounts)), further])
    is_first = np.arange(count) < len(accounts)
    born = accounts.created[account]
    later = born + (chance.random(count) ** 1.5 * (era.end - born)).astype(np.int64)
    created = np.where(is_first, born + HOUR, np.maximum(office_hours(later, chance, latest=era.end), born + 2 * HOUR))
    order = np.lexsort((created, account))
    account, created, is_first = account[order], created[order], is_first[order]

    first, last = chance.integers(0, len(FIRST_NAMES), count), chance.integers(0, len(LAST_NAMES), count)
    # A consultant who works for two accounts: two records, one address.
    person = np.arange(count)
    is_twin = (chance.random(count) < 0.006) & ~is_first & (person > 20)
    is_twin &= ~is_twin[person // 2] & (account[person // 2] != account)
    person = np.where(is_twin, person // 2, person)
    first, last = first[person], last[person]
    has_email = (chance.random(count) > 0.02) | is_first
    has_email[person[is_twin]] = True
    has_email |= is_twin

    ended = era.start + (chance.random(count) * (era.end - era.start)).astype(np.int64)
    leaves = (chance.random(count) < 0.03) & ~is_first & (ended > created + 30 * DAY)
    deleted = np.minimum(np.where(leaves, office_hours(ended, chance), NEVER), accounts.deleted[account])
    deleted = np.where(deleted > created, deleted, NEVER)

    opted_out = created + (chance.random(count) * 3 * 365 * DAY).astype(np.int64)
    role = np.where(is_first, 0, 1 + pick((26, 60, 14), count, chance))
    zone, language = _places(accounts.region[account], chance)
    return Contacts(
        account=account, created=created, deleted=deleted, first=first, last=last,
        ordinal=_ordinals(account, first, last, person), person=person,
        has_email=has_email,
        role_before=role, role_after=np.where(role == 2, 1, role),
        role_changes_at=np.where((role == 2) & (chance.random(count) < 0.04), ended, NEVER),
        title=chance.integers(0, 4, count), is_primary=is_first, zone=zone, language=language,
        opted_out_at=np.where((chance.random(count) < 0.055) & (opted_out < era.end), opted_out, NEVER),
        starts=np.searchsorted(account, np.arange(len(accounts))), arrivals=_arrival(account, created),
    )  # fmt: skip


def _ordinals(account: np.ndarray, first: np.ndarray, last: np.ndarray, person: np.ndarray) -> np.ndarray:
    """1 for the first of a name at an account, 2 for the next; a twin has its original's."""
    name = (account * 1000 + first) * 1000 + last
    order = np.argsort(name, kind="stable")
    same = np.concatenate([[False], name[order][1:] == name[order][:-1]])
    run = np.arange(len(name)) - np.maximum.accumulate(np.where(same, 0, np.arange(len(name))))
    ordinal = np.empty(len(name), np.int64)
    ordinal[order] = run + 1
    return ordinal[person]


def _places(region: np.ndarray, chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    zone, language = np.zeros(len(region), np.int64), np.zeros(len(region), np.int64)
    for code, places in enumerate(PLACES):
        here = np.flatnonzero(region == code)
        chosen = chance.integers(0, len(places), len(here))
        zone[here] = np.array([ZONES.index(name) for name, _ in places])[chosen]
        spoken = chance.integers(0, 2, len(here))
        table = np.array([[LANGUAGES.index(words[0]), LANGUAGES.index(words[-1])] for _, words in places])
        language[here] = table[chosen, spoken]
    return zone, language
