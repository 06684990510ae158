"""Who a visitor is: a context that a company's own server signs for one of its contacts, for the widget and the portal.

`base64url(JSON) . base64url(HMAC-SHA256(secret, base64url(JSON)))`, both without padding, where the JSON is
`{"contact": "<CRM id>", "expires": <seconds since 1970>}`. Anything that can reckon an HMAC can make one.
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import json

from closedloop.keys import keys_of


class BadContext(Exception):
    """Not signed by us, or too old."""


def make_context(secret: str, contact_id: str, *, expires: dt.datetime) -> str:
    """The context of a contact, good until `expires`; of several keys the first signs."""
    body = json.dumps({"contact": contact_id, "expires": int(expires.timestamp())}, separators=(",", ":"))
    part = _encode(body.encode())
    return f"{part}.{_encode(_signature(keys_of(secret)[0], part))}"


def read_context(secret: str, context: str, *, now: dt.datetime) -> str:
    """The contact's id. Raises BadContext; never says why."""
    part, _, signature = context.partition(".")
    try:
        given = _decode(signature)
        if signature != _encode(given) or not any(
            hmac.compare_digest(given, _signature(key, part)) for key in keys_of(secret)
        ):
            raise BadContext
        body = json.loads(_decode(part))
        contact, expires = body["contact"], body["expires"]
    except (ValueError, KeyError, TypeError, binascii.Error):
        raise BadContext from None
    if not isinstance(contact, str) or not contact or not isinstance(expires, int) or expires <= now.timestamp():
        raise BadContext
    return contact


def _signature(secret: str, part: str) -> bytes:
    return hmac.new(secret.encode(), part.encode("utf-8", "replace"), hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
