"""Amazon SES: notifications through SNS, signed with a certificate that Amazon publishes.

SES gives each mail a Message-ID of its own; ours comes back among the original headers, which the notification must include.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import json
import re
from collections.abc import Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.x509 import load_pem_x509_certificate

from closedloop.clock import as_utc
from ingestion.collector.webhooks import Fetch, NotAuthentic, Report, Unreadable, own_id

KINDS = {
    "delivery": "delivered",
    "deliverydelay": "deferred",
    "bounce": "bounced",
    "complaint": "complained",
    "open": "opened",
    "click": "clicked",
}
_SIGNED = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
    "UnsubscribeConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}
_HASHES: dict[str, HashAlgorithm] = {"1": SHA1(), "2": SHA256()}  # as SNS documents its two versions
_HOST = re.compile(r"sns\.[a-z0-9-]{3,32}\.amazonaws\.com(\.cn)?")
_SECTIONS = {"deliverydelay": "deliveryDelay"}


class Ses:
    """`topic` is the ARN of the one topic whose notifications are taken; `fetch` brings Amazon's certificates."""

    name = "ses"

    def __init__(self, topic: str, fetch: Fetch) -> None:
        self._topic, self._fetch = topic, fetch
        self._keys: dict[str, rsa.RSAPublicKey] = {}

    def authenticate(self, headers: Mapping[str, str], body: bytes) -> None:
        try:
            envelope = json.loads(body)
            names = _SIGNED[envelope["Type"]]
            if envelope["TopicArn"] != self._topic:
                raise NotAuthentic
            signed = "".join(f"{name}\n{envelope[name]}\n" for name in names if name in envelope)
            key = self._key(envelope["SigningCertURL"])
            signature = base64.b64decode(envelope["Signature"], validate=True)
            key.verify(signature, signed.encode(), PKCS1v15(), _HASHES[envelope["SignatureVersion"]])
        except (InvalidSignature, ValueError, KeyError, TypeError, AttributeError, binascii.Error):
            raise NotAuthentic from None

    def reports(self, body: bytes) -> list[Report]:
        envelope = json.loads(body)
        if envelope["Type"] != "Notification":
            if envelope["Type"] == "SubscriptionConfirmation":
                self._confirm(envelope)
            return []
        try:
            raw = json.loads(envelope["Message"])
            if not isinstance(raw, dict):
                raise Unreadable
            return [_report(self.name, envelope["MessageId"], raw, as_utc(_iso(envelope["Timestamp"])))]
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Unreadable from None

    def _key(self, url: str) -> rsa.RSAPublicKey:
        if not _is_amazons(url) or not urlsplit(url).path.endswith(".pem"):
            raise NotAuthentic
        if url not in self._keys:
            key = load_pem_x509_certificate(self._fetch(url)).public_key()
            if not isinstance(key, rsa.RSAPublicKey):
                raise NotAuthentic
            self._keys[url] = key
        return self._keys[url]

    def _confirm(self, envelope: Mapping[str, Any]) -> None:
        """Visit the address that Amazon gave: then the topic's notifications come. The signature was seen before."""
        if not _is_amazons(envelope["SubscribeURL"]):
            raise NotAuthentic
        self._fetch(envelope["SubscribeURL"])


def _is_amazons(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" and parts.netloc == parts.hostname and bool(_HOST.fullmatch(parts.netloc))


def _report(name: str, external_id: str, raw: Mapping[str, Any], sent: dt.datetime) -> Report:
    said = str(raw.get("eventType") or raw.get("notificationType") or "").replace(" ", "").lower()
    section = raw.get(_SECTIONS.get(said, said))
    section = section if isinstance(section, dict) else {}
    return Report(
        provider=name,
        external_id=external_id,
        kind=KINDS.get(said, "unknown"),
        occurred_at=as_utc(_iso(section["timestamp"])) if section.get("timestamp") else sent,
        message_id=_own_id(raw.get("mail")),
        hard=section.get("bounceType") == "Permanent",
        machine=said == "open" and section.get("userAgent") == "Mozilla/5.0",
        raw=raw,
    )


_iso = partial(dt.datetime.fromisoformat)


def _own_id(mail: Any) -> str | None:
    headers = {str(one.get("name")).lower(): one.get("value") for one in (mail or {}).get("headers") or ()}
    return headers.get("x-closedloop-id") or own_id(headers.get("message-id"))
