"""How content people are, and how readily they answer: what the history, its trends and its segments come from.

The story: support is reformed ten months before the end and its scores recover; one region declines in the last nine
months; one rep is far better than the others and one far worse; the product that is withdrawn disappoints; who was
called back in time and helped comes back kinder.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from closedloop.programme import TriggerEvent
from demo.activity import MAIN_PRODUCTS
from demo.columns import DAY
from demo.company import Company
from demo.dice import temperaments
from demo.people import ROLES, SALES

REFORM_DAYS, DECLINE_DAYS, DECLINING_REGION = 300, 270, 2
RECOVERY = 1.6
"""What a detractor who was helped in time gives more the next time."""

EVENTS = (TriggerEvent.DEAL_WON, TriggerEvent.TICKET_RESOLVED, TriggerEvent.SCHEDULE_QUARTERLY)
"""What the company's past was asked about: surveys with other triggers begin with the demo's own day."""
_MIDDLE = {TriggerEvent.TICKET_RESOLVED: 8.65, TriggerEvent.DEAL_WON: 8.0, TriggerEvent.SCHEDULE_QUARTERLY: 7.68}
_TIER = np.array([-0.35, 0.0, 0.15])
_PRODUCT = np.array([0.2, 0.1, 0.0, 0.1, -0.9])
_ANSWERS = {TriggerEvent.TICKET_RESOLVED: 1.15, TriggerEvent.DEAL_WON: 1.2, TriggerEvent.SCHEDULE_QUARTERLY: 0.95}
_ANSWERS_BY_TIER = np.array([0.85, 1.0, 1.1])
_ANSWERS_BY_REGION = np.array([1.0, 1.05, 0.8, 0.95])
_ANSWERS_BY_ROLE = np.array([1.25, 0.95, 1.0, 0.7])
assert len(_PRODUCT) == MAIN_PRODUCTS and len(_ANSWERS_BY_ROLE) == len(ROLES)


@dataclass(frozen=True)
class Moods:
    """What does not change: the temper of companies and people, and how reps deal with them."""

    company: Company
    warmth: np.ndarray  # of each account
    leaning: np.ndarray  # of each contact
    readiness: np.ndarray  # of each contact, mean 1
    rep: np.ndarray  # effect of each staff member as owner
    centre: float = 0.0
    """The mean of what companies and people bring; taken off, so that small companies are as happy as large ones."""

    def scores(
        self, event: np.ndarray, contact: np.ndarray, at: np.ndarray, recovered: np.ndarray, chance: np.random.Generator
    ) -> np.ndarray:
        """A score 0..10 for each answer. `event` holds places in `EVENTS`, `at` epoch seconds."""
        accounts, era = self.company.accounts, self.company.era
        account = self.company.contacts.account[contact]
        middle = np.array([_MIDDLE[name] for name in EVENTS])[event]
        is_support = event == EVENTS.index(TriggerEvent.TICKET_RESOLVED)
        reformed = np.clip((at - (era.end - REFORM_DAYS * DAY)) / (45 * DAY), 0, 1)
        declined = np.clip((at - (era.end - DECLINE_DAYS * DAY)) / (DECLINE_DAYS * DAY), 0, 1)
        age = (at - accounts.created[account]) / DAY
        mood = (
            middle
            + self.disposition(contact, at)
            - self.centre
            + np.where(is_support, -1.3 + 1.75 * reformed, 0)
            - np.where(accounts.region[account] == DECLINING_REGION, 1.8 * declined, 0)
            + np.where(age < 240, 0.4, np.where(age > 1200, -0.2, 0))
            + 0.02 * (accounts.adoption_at(account, at) - 60)
            + 0.4 * (at - era.start) / (era.end - era.start)
            + RECOVERY * recovered
            + chance.normal(0, 1.55, len(contact))
        )
        return np.clip(np.rint(mood), 0, 10).astype(np.int64)

    def disposition(self, contact: np.ndarray, at: np.ndarray) -> np.ndarray:
        """What person, company, rep, tier and product bring to a score."""
        accounts, account = self.company.accounts, self.company.contacts.account[contact]
        return (
            self.leaning[contact]
            + 0.6 * self.warmth[account]
            + self.rep[accounts.owner_at(account, at)]
            + _TIER[accounts.tier_at(account, at)]
            + _PRODUCT[accounts.product[account]]
        )

    def answer_shares(self, event: np.ndarray, contact: np.ndarray, at: np.ndarray) -> np.ndarray:
        """The probability that each of them answers."""
        accounts = self.company.accounts
        account = self.company.contacts.account[contact]
        shares = (
            0.315
            * np.array([_ANSWERS[name] for name in EVENTS])[event]
            * _ANSWERS_BY_TIER[accounts.tier_at(account, at)]
            * _ANSWERS_BY_REGION[accounts.region[account]]
            * _ANSWERS_BY_ROLE[self.company.contacts.role_at(contact, at)]
            * self.readiness[contact]
        )
        return np.clip(shares, 0, 0.9)

    def favour(self, event: TriggerEvent, contact: int, at: int) -> str | None:
        """The theme that is on people's mind at that time, if any."""
        before_end = (self.company.era.end - at) / DAY
        if event is TriggerEvent.TICKET_RESOLVED:
            return "support" if before_end > REFORM_DAYS else None
        account = self.company.contacts.account[contact]
        if self.company.accounts.product[account] == MAIN_PRODUCTS - 1:
            return "bugs"
        if self.company.accounts.region[account] == DECLINING_REGION and before_end < DECLINE_DAYS:
            return "account manager"
        return "price" if before_end < 120 and event is TriggerEvent.SCHEDULE_QUARTERLY else None


def moods_of(company: Company) -> Moods:
    chance = company.dice("moods")
    rep = chance.normal(0, 0.35, len(company.staff.names))
    sellers = company.staff.of_team(SALES)
    rep[sellers[1]], rep[sellers[2]] = 0.9, -1.3
    moods = Moods(
        company,
        warmth=temperaments(company.seed, company.accounts.domains),
        leaning=chance.normal(0, 0.8, company.size),
        readiness=chance.gamma(4, 0.25, company.size),
        rep=rep,
    )
    everyone = np.arange(company.size)
    middle_of_time = np.full(company.size, (company.era.start + company.era.end) // 2)
    return replace(moods, centre=float(moods.disposition(everyone, middle_of_time).mean()))
