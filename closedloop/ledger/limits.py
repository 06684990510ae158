"""How much may be sent: per hour, per day while a sender warms up, per recipient domain and per customer account.

Limits only make mail wait. What a sender takes is counted when it is claimed, in the claiming transaction, so that several
senders keep one limit together; what a sender that dies gives back stays counted until the hour is over. Alerts are counted,
and never wait.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update

from closedloop.ledger.rows import Row
from closedloop.ledger.schema import hand_overs, messages
from closedloop.settings import Settings

HOURLY, DAILY, WARM_UP = "hourly limit", "daily limit", "warm-up limit"
DOMAIN, ACCOUNT = "hourly limit of the recipient's domain", "daily limit of the account"
TEXT_MESSAGES = "sms"
HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


def domain_of(address: str) -> str:
    """The part after the @, in lower case."""
    return address.rpartition("@")[2].strip().lower()


def destination(row: Mapping[str, Any]) -> str:
    """The domain of a message's mail server; text messages all go to one provider, which is no domain."""
    is_text = row["channel"] == TEXT_MESSAGES and row["kind"] != "alert"
    return TEXT_MESSAGES if is_text else domain_of(row["payload"].get("email") or "")


def day_limit(settings: Settings, now: dt.datetime) -> tuple[int | None, str]:
    """How many messages may go out on this UTC day, None for any number, and which rule says so.

    A sender that warms up begins with `warm_up_first_day` and doubles each day, for `warm_up_days`.
    """
    cap = settings.max_per_day or None
    if settings.warm_up_from is None:
        return cap, DAILY
    day = (now.date() - settings.warm_up_from).days
    if not 0 <= day < settings.warm_up_days:
        return cap, DAILY
    warm = settings.warm_up_first_day * 2**day
    return (warm, WARM_UP) if cap is None or warm < cap else (cap, DAILY)


@dataclass
class Limits:
    """The room that is left for one claim; `take` uses it."""

    settings: Settings
    now: dt.datetime
    this_hour: int = 0
    today: int = 0
    of_domain: Counter[str] = field(default_factory=Counter)
    of_account: Counter[str] = field(default_factory=Counter)
    taken: Counter[str] = field(default_factory=Counter)
    """What this claim took, by domain."""

    @classmethod
    def load(cls, conn: Connection, settings: Settings, now: dt.datetime) -> Limits:
        """What was counted in this hour and on this UTC day."""
        limits = cls(settings, now)
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if settings.max_per_hour or settings.max_per_domain_per_hour:
            counted = select(hand_overs.c.domain, hand_overs.c["count"]).where(hand_overs.c.hour == _hour(now))
            limits.of_domain = Counter(dict(conn.execute(counted).tuples().all()))
            limits.this_hour = limits.of_domain.total()
        if day_limit(settings, now)[0] is not None:
            of_day = select(func.sum(hand_overs.c["count"])).where(hand_overs.c.hour >= midnight)
            limits.today = int(conn.execute(of_day).scalar() or 0)
        return limits

    def load_accounts(self, conn: Connection, rows: Sequence[Row]) -> None:
        """What the accounts of these rows were sent, or may have been sent, on this UTC day."""
        accounts = sorted({row["account_id"] for row in rows if row["account_id"]})
        if not self.settings.max_per_account_per_day or not accounts:
            return
        midnight = self.now.replace(hour=0, minute=0, second=0, microsecond=0)
        counted = (
            select(messages.c.account_id, func.count())
            .where(
                messages.c.account_id.in_(accounts),
                messages.c.kind != "alert",
                (messages.c.state == "claimed")
                | (messages.c.state.in_(("handed", "sent", "uncertain")) & (messages.c.state_at >= midnight)),
            )
            .group_by(messages.c.account_id)
        )
        self.of_account = Counter(dict(conn.execute(counted).tuples().all()))

    def of_all(self) -> tuple[str, dt.datetime] | None:
        """Why nothing more may go out for now, and when that is over; None where there is room."""
        if self.settings.max_per_hour and self.this_hour >= self.settings.max_per_hour:
            return HOURLY, _hour(self.now) + HOUR
        cap, rule = day_limit(self.settings, self.now)
        if cap is not None and self.today >= cap:
            return rule, _tomorrow(self.now)
        return None

    def refuse(self, row: Row) -> tuple[str, dt.datetime] | None:
        """Why this message waits, and until when; None where it may go. Alerts always may."""
        if row["kind"] == "alert":
            return None
        if found := self.of_all():
            return found
        cap = self.settings.max_per_domain_per_hour
        where = destination(row)
        if cap and where != TEXT_MESSAGES and self.of_domain[where] >= cap:
            return DOMAIN, _hour(self.now) + HOUR
        cap = self.settings.max_per_account_per_day
        if cap and row["account_id"] and self.of_account[row["account_id"]] >= cap:
            return ACCOUNT, _tomorrow(self.now)
        return None

    def take(self, row: Mapping[str, Any]) -> None:
        """Count a message that was just claimed."""
        domain = destination(row)
        self.taken[domain] += 1
        self.of_domain[domain] += 1
        self.this_hour += 1
        self.today += 1
        if row["account_id"] and row["kind"] != "alert":
            self.of_account[row["account_id"]] += 1

    def save(self, conn: Connection) -> None:
        """Write down what was taken; in the claiming transaction."""
        if not self.taken:
            return
        hour = _hour(self.now)
        known = set(
            conn.scalars(
                select(hand_overs.c.domain).where(
                    hand_overs.c.hour == hour, hand_overs.c.domain.in_(sorted(self.taken))
                )
            )
        )
        new = [
            {"hour": hour, "domain": name, "count": count} for name, count in self.taken.items() if name not in known
        ]
        more = [{"at": hour, "name": name, "more": count} for name, count in self.taken.items() if name in known]
        if new:
            conn.execute(insert(hand_overs), new)
        if more:
            conn.execute(_MORE, more)


def _hour(at: dt.datetime) -> dt.datetime:
    return at.replace(minute=0, second=0, microsecond=0)


def _tomorrow(at: dt.datetime) -> dt.datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0) + DAY


_MORE = (
    update(hand_overs)
    .where(hand_overs.c.hour == bindparam("at", type_=hand_overs.c.hour.type), hand_overs.c.domain == bindparam("name"))
    .values(count=hand_overs.c["count"] + bindparam("more"))
)
