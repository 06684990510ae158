"""SendGrid: the signed event webhook (ECDSA over the time stamp and the body).

Our Message-ID comes back as `smtp-id` with the first events; `X-SMTPAPI` in the mails makes each event name our id.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from closedloop.errors import BadInput
from ingestion.collector.webhooks import NotAuthentic, Report, Unreadable, hash_of, own_id

KINDS = {
    "delivered": "delivered",
    "deferred": "deferred",
    "bounce": "bounced",
    "dropped": "bounced",
    "open": "opened",
    "click": "clicked",
    "spamreport": "complained",
    "unsubscribe": "unsubscribed",
    "group_unsubscribe": "unsubscribed",
}
SIGNATURE, STAMP = "x-twilio-email-event-webhook-signature", "x-twilio-email-event-webhook-timestamp"


class SendGrid:
    """`public_key` is the verification key of the webhook's settings (base64)."""

    name = "sendgrid"

    def __init__(self, public_key: str) -> None:
        try:
            key = load_der_public_key(base64.b64decode(public_key, validate=True))
        except (ValueError, binascii.Error):
            key = None
        if not isinstance(key, ec.EllipticCurvePublicKey):
            raise BadInput(
                "not the verification key of SendGrid's event webhook",
                field="CLOSEDLOOP_SENDGRID_PUBLIC_KEY",
                remedy="copy it from the webhook's security settings",
            )
        self._key = key

    def authenticate(self, headers: Mapping[str, str], body: bytes) -> None:
        try:
            signature = base64.b64decode(headers.get(SIGNATURE, ""), validate=True)
            self._key.verify(signature, headers.get(STAMP, "").encode() + body, ec.ECDSA(SHA256()))
        except (InvalidSignature, binascii.Error, ValueError):
            raise NotAuthentic from None

    def reports(self, body: bytes) -> list[Report]:
        try:
            events = json.loads(body)
            if not isinstance(events, list):
                raise Unreadable
            return [_report(self.name, raw) for raw in events]
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
            raise Unreadable from None


def _report(name: str, raw: Mapping[str, Any]) -> Report:
    kind = KINDS.get(raw["event"], "unknown")
    if raw["event"] == "dropped" and "bounce" not in str(raw.get("reason", "")).lower():
        kind = "unknown"  # dropped for a reason of the account, such as an unsubscribe there
    return Report(
        provider=name,
        external_id=str(raw.get("sg_event_id") or hash_of(raw)),
        kind=kind,
        occurred_at=dt.datetime.fromtimestamp(float(raw["timestamp"]), dt.UTC),
        message_id=str(raw.get("closedloop_id") or "") or own_id(raw.get("smtp-id")),
        hard=raw["event"] == "bounce" and raw.get("type", "bounce") == "bounce",
        machine=raw.get("sg_machine_open") is True,
        raw=raw,
    )
