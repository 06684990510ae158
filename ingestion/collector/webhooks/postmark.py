"""Postmark: webhooks with HTTP credentials that are part of their address.

The mails carry `X-PM-Metadata-closedloop-id`, which each report returns in `Metadata`.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hmac
import json
from collections.abc import Mapping
from typing import Any

from closedloop.clock import as_utc
from ingestion.collector.webhooks import NotAuthentic, Report, Unreadable, hash_of

KINDS = {
    "Delivery": "delivered",
    "Bounce": "bounced",
    "SpamComplaint": "complained",
    "Open": "opened",
    "Click": "clicked",
}
HARD = frozenset({"HardBounce", "BadEmailAddress", "ManuallyDeactivated"})
"""Types of bounces after which Postmark sends nothing more to an address."""
COMPLAINTS = frozenset({"SpamComplaint", "SpamNotification"})
UNSUBSCRIBES = frozenset({"Unsubscribe"})
NOT_BOUNCED = frozenset({"AutoResponder", "AddressChange", "OpenRelayTest", "ChallengeVerification", "Subscribe"})
_TIMES = ("BouncedAt", "DeliveredAt", "ReceivedAt", "ChangedAt")


class Postmark:
    """`credentials` are `user:password`, as in the webhook's address."""

    name = "postmark"

    def __init__(self, credentials: str) -> None:
        self._credentials = credentials.encode()

    def authenticate(self, headers: Mapping[str, str], body: bytes) -> None:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        try:
            shown = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            raise NotAuthentic from None
        if scheme.lower() != "basic" or not hmac.compare_digest(shown, self._credentials):
            raise NotAuthentic

    def reports(self, body: bytes) -> list[Report]:
        try:
            raw = json.loads(body)
            if not isinstance(raw, dict):
                raise Unreadable
            metadata = raw.get("Metadata")
            own = metadata.get("closedloop-id") if isinstance(metadata, dict) else None
            return [
                Report(
                    provider=self.name,
                    external_id=f"{raw['RecordType']}-{raw['ID']}" if raw.get("ID") else hash_of(raw),
                    kind=_kind(raw),
                    occurred_at=_time(raw),
                    message_id=str(own) if own else None,
                    hard=raw.get("Type") in HARD,
                    machine=_is_prefetch(raw),
                    raw=raw,
                )
            ]
        except (ValueError, KeyError, TypeError, OverflowError):
            raise Unreadable from None


def _kind(raw: Mapping[str, Any]) -> str:
    record, type_ = raw["RecordType"], raw.get("Type")
    if record == "Bounce":
        if type_ in COMPLAINTS:
            return "complained"
        if type_ in UNSUBSCRIBES:
            return "unsubscribed"
        return "unknown" if type_ in NOT_BOUNCED else "bounced"
    if record == "SubscriptionChange":
        is_stop = raw.get("SuppressSending") is True and raw.get("SuppressionReason") == "ManualSuppression"
        return "unsubscribed" if is_stop and raw.get("Origin") == "Recipient" else "unknown"
    return KINDS.get(record, "unknown")


def _time(raw: Mapping[str, Any]) -> dt.datetime:
    said = (
        next(raw[name] for name in _TIMES if raw.get(name))
        if any(raw.get(name) for name in _TIMES)
        else raw["RecordedAt"]
    )
    return as_utc(dt.datetime.fromisoformat(said))


def _is_prefetch(raw: Mapping[str, Any]) -> bool:
    """Apple's proxy fetches the pictures of every mail: Postmark names its client or passes its bare user agent on."""
    client = raw.get("Client")
    name = client.get("Name", "") if isinstance(client, dict) else ""
    return raw["RecordType"] == "Open" and ("Privacy" in name or raw.get("UserAgent") == "Mozilla/5.0")
