"""Reports of mail providers: one file each, which authenticates a request as that provider does and puts it into our words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from closedloop.ledger.reports import Report

__all__ = ["Fetch", "NotAuthentic", "Provider", "Report", "Unreadable", "hash_of", "own_id"]

Fetch = Callable[[str], bytes]
"""What an address on the web holds; it blocks. Raises OSError."""


class NotAuthentic(Exception):
    """The request does not come from the provider."""


class Unreadable(Exception):
    """The provider's request is not in the form that it documents."""


class Provider(Protocol):
    """One mail provider. Both functions may block."""

    name: str

    def authenticate(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raises NotAuthentic."""
        ...

    def reports(self, body: bytes) -> list[Report]:
        """What a request says, what we do not know included (kind 'unknown'). Raises Unreadable."""
        ...


def own_id(message_id: str | None) -> str | None:
    """Our message's id from a Message-ID header (`<id@domain>`), None for an empty one."""
    return (message_id or "").strip().strip("<>").partition("@")[0] or None


def hash_of(raw: Mapping[str, Any]) -> str:
    """An id for a report that has none: the same report again has the same."""
    return hashlib.sha256(json.dumps(raw, sort_keys=True).encode()).hexdigest()
