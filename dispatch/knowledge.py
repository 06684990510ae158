"""What is known of a customer beside the invitation, when an answer comes: from the newest publication, where there is one."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class EarlierAnswer:
    """An earlier answer of somebody at the same account."""

    survey_id: str
    score: int
    submitted_at: dt.datetime
    is_same_contact: bool


@dataclass(frozen=True)
class Known:
    """Fields of contact and account as filters call them, and earlier answers, the newest first."""

    contact: Mapping[str, Any] = field(default_factory=dict, repr=False)
    account: Mapping[str, Any] = field(default_factory=dict, repr=False)
    earlier: tuple[EarlierAnswer, ...] = field(default=(), repr=False)


class Knowledge(Protocol):
    """Where it is looked up."""

    @property
    def left(self) -> frozenset[str]:
        """Users who no longer work here."""
        ...

    def of(self, contact_id: str, account_id: str | None) -> Known:
        """What is known of one contact and its account."""
        ...


class NothingKnown:
    """Before the first publication."""

    left: frozenset[str] = frozenset()

    def of(self, contact_id: str, account_id: str | None) -> Known:
        return Known()
