"""Whom the platform tells of what happens: endpoints of webhooks and chats, as the settings name them, and the types of events.

Addresses of both hold secrets as often as not: nothing here, and no error, repeats one.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator

from closedloop.webaddress import is_web_address

_OF_KIND = {
    "voided": "response.voided",
    "followup_opened": "followup.opened",
    "first_contact": "followup.contacted",
    "followup_step": "followup.step",
    "outcome": "followup.closed",
    "followup_reopened": "followup.reopened",
    "followup_assigned": "followup.assigned",
    "unsubscribed": "unsubscribed",
}
KINDS = frozenset({"answered", "action", *_OF_KIND})
"""The ledger's kinds of events that some endpoint may be told of."""
TYPES = (
    *("response.created", "response.changed", *_OF_KIND.values()),
    *("action.done", "action.failed"),
)
GROUPS = tuple(dict.fromkeys(name.partition(".")[0] for name in TYPES))

SMALLEST_KEY, LARGEST_KEY = 24, 64
"""Bytes of a secret, as the Standard Webhooks specification has them."""
_PREFIX = "whsec_"
NAME = r"^[a-z0-9][a-z0-9_-]{0,63}$"


def type_of(kind: str, payload: Mapping[str, Any]) -> str | None:
    """What a receiver knows an event of the ledger as; None: it is told to nobody.

    An answer that came too late to count changes nothing, and an action is told of when it has ended.
    """
    if kind == "answered":
        if not payload.get("counted", True):
            return None
        return "response.created" if payload.get("version", 1) == 1 else "response.changed"
    if kind == "action":
        state = payload.get("state")
        return f"action.{state}" if state in ("done", "failed") else None
    return _OF_KIND.get(kind)


def check_address(url: str) -> str:
    """`url`, where it is fit to post to. Raises ValueError, which does not repeat it."""
    if not (is_web_address(url) or _is_on_this_machine(url)):
        raise ValueError("must look like https://host/path, without a user (http:// only for this machine itself)")
    return url


def _is_on_this_machine(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
        host = parts.hostname or ""
        plain = parts.scheme == "http" and "@" not in parts.netloc and url.isascii() and url.isprintable()
        return plain and " " not in url and (host == "localhost" or ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


class Webhook(BaseModel):
    """One receiver of events."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=NAME, description="names it in the books and commands; a new name is a new endpoint")
    url: str = Field(repr=False, description="where events are posted to")
    secret: str = Field(repr=False, description="signs them: whsec_ and base64; an older one after a blank signs too")
    events: tuple[str, ...] = Field(default=(), description="types or groups of types; empty: all")
    include_personal: bool = Field(default=False, description="words of customers and names of colleagues too")

    @field_validator("url")
    @classmethod
    def _address(cls, value: str) -> str:
        return check_address(value)

    @field_validator("secret")
    @classmethod
    def _keys(cls, value: str) -> str:
        if not keys_of(value):
            raise ValueError(
                f"must be {_PREFIX} and base64 of {SMALLEST_KEY} to {LARGEST_KEY} random bytes, such as "
                "`openssl rand -base64 32` makes; a blank separates two"
            )
        return value

    @field_validator("events")
    @classmethod
    def _types(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not set(value) <= {*TYPES, *GROUPS}:
            raise ValueError(f"must be a list of these: {', '.join(dict.fromkeys((*GROUPS, *TYPES)))}")
        return value

    def wants(self, type_: str) -> bool:
        """Whether events of this type go there."""
        return not self.events or type_ in self.events or type_.partition(".")[0] in self.events


def keys_of(secret: str) -> list[bytes]:
    """The keys of a secret, the newest first; empty where one of them is none."""
    keys = []
    for one in secret.split():
        try:
            key = base64.b64decode(one.removeprefix(_PREFIX), validate=True) if one.startswith(_PREFIX) else b""
        except binascii.Error:
            return []
        if not SMALLEST_KEY <= len(key) <= LARGEST_KEY:
            return []
        keys.append(key)
    return keys
