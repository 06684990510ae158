"""Personal links: which invitation a token belongs to, and what it may be used for.

A token names one invitation and one purpose and is signed with a key of the home (`closedloop.keys`), so that it can be
neither guessed nor used for anything else. When a link ends stands in the ledger (`messages.link_expires_at`), not in the token.
"""

from __future__ import annotations

import base64
import binascii
import re
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Protocol

from itsdangerous import BadSignature, Signer

from closedloop.identity import person_key
from closedloop.keys import keys_of

_HEX_ID = re.compile(r"[0-9a-f]{32}")


class Purpose(StrEnum):
    """What a token opens; each has a salt of its own, so one can never stand in for another."""

    SURVEY = "survey"
    UNSUBSCRIBE = "unsubscribe"
    OPEN = "open"
    WIDGET = "widget"
    PREFERENCES = "preferences"
    FORM = "form"
    FOLLOW_UP = "follow_up"
    WORKLIST = "worklist"


class BadLink(Exception):
    """The token was not made by us, or was made for another purpose."""


class LinkSettings(Protocol):
    """What of the settings the links need."""

    @property
    def collector_url(self) -> str: ...

    @property
    def link_secret(self) -> str: ...


def sign(secret: str, invitation_id: str, purpose: Purpose | str) -> str:
    """The token of an invitation for one purpose: 66 URL-safe characters for the usual 32-digit id."""
    return _signer(secret, Purpose(purpose)).sign(_pack(invitation_id)).decode()


def read(secret: str, token: str, purpose: Purpose | str) -> str:
    """The invitation id that a token was made for. Raises BadLink; never says why."""
    try:
        packed = _signer(secret, Purpose(purpose)).unsign(token.encode("ascii")).decode()
        signature = token.rpartition(".")[2]
        if signature != _base64(_bytes(signature)):  # decoding passes over strange characters and spare bits
            raise BadLink("not a valid link")
        return _unpack(packed)
    except (BadSignature, UnicodeError, binascii.Error, ValueError):
        raise BadLink("not a valid link") from None


def survey_link(settings: LinkSettings, invitation_id: str) -> str:
    """The survey page with nothing chosen."""
    return f"{settings.collector_url}/s/{sign(settings.link_secret, invitation_id, Purpose.SURVEY)}"


def score_link(settings: LinkSettings, invitation_id: str, score: int) -> str:
    """The survey page with `score` (0..10) chosen."""
    return f"{survey_link(settings, invitation_id)}?score={score}"


def trap_link(settings: LinkSettings, invitation_id: str) -> str:
    """A link that no person sees: who follows it reads mails by machine."""
    return f"{survey_link(settings, invitation_id)}/more"


def unsubscribe_link(settings: LinkSettings, invitation_id: str) -> str:
    """The page (GET) and the one-click address of RFC 8058 (POST)."""
    return f"{settings.collector_url}/u/{sign(settings.link_secret, invitation_id, Purpose.UNSUBSCRIBE)}"


def preferences_link(settings: LinkSettings, invitation_id: str) -> str:
    """The page where a person chooses which surveys to get, and how often."""
    return f"{settings.collector_url}/p/{sign(settings.link_secret, invitation_id, Purpose.PREFERENCES)}"


def open_link(settings: LinkSettings, invitation_id: str) -> str:
    """The picture of one pixel that tells that a mail was opened."""
    return f"{settings.collector_url}/o/{sign(settings.link_secret, invitation_id, Purpose.OPEN)}.gif"


def follow_up_link(settings: LinkSettings, invitation_id: str) -> str:
    """The page of a follow-up, for the colleague who takes care of it."""
    return f"{settings.collector_url}/w/{sign(settings.link_secret, invitation_id, Purpose.FOLLOW_UP)}"


def worklist_link(settings: LinkSettings, email: str) -> str:
    """The list of all follow-ups of one colleague; the address does not stand in it."""
    return f"{settings.collector_url}/w/list/{sign(settings.link_secret, worklist_key(email), Purpose.WORKLIST)}"


def worklist_key(email: str) -> str:
    """What a link to a list names a colleague by: 32 hexadecimal digits."""
    return person_key(email)[:32]


@lru_cache(maxsize=32)
def _signer(secret: str, purpose: Purpose) -> Signer:
    return Signer(keys_of(secret)[::-1], salt=f"closedloop.{purpose.value}", digest_method=sha256)


def _pack(invitation_id: str) -> str:
    """Ids are MD5 in hex, which pack into 22 characters; any other id is carried as it is, marked by '~'."""
    if _HEX_ID.fullmatch(invitation_id):
        return _base64(bytes.fromhex(invitation_id))
    return "~" + _base64(invitation_id.encode())


def _unpack(packed: str) -> str:
    data = _bytes(packed.removeprefix("~"))
    return data.decode() if packed.startswith("~") else data.hex()


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
