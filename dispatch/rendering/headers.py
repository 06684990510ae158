"""Header values that cannot smuggle in another header."""

from __future__ import annotations

import json
import re
import unicodedata
from email.errors import HeaderParseError
from email.header import Header, decode_header, make_header
from email.utils import quote

from closedloop.errors import BadInput

MAX_SUBJECT, MAX_NAME = 250, 120
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
# Turn the direction of what follows: a name could read as another address.
_DIRECTION = re.compile(r"[\u202a-\u202e\u2066-\u2069]")
# Anything but one plain mailbox: no names, lists, comments, quotes, spaces.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")


def safe_text(value: str, field: str) -> str:
    """`value` as a person would see it, encoded words decoded. Raises BadInput (naming `field`, not the value) on
    line breaks and other control characters, raw or encoded: both have become real headers in the wild.
    """
    text = value
    if "=?" in text:
        try:
            text = str(make_header(decode_header(text)))
        except (HeaderParseError, LookupError, UnicodeError, ValueError):
            raise _refusal(field) from None
    if _CONTROL.search(value) or _CONTROL.search(text):
        raise _refusal(field)
    return text.strip()


def one_line(value: str) -> str:
    """`value` without what could forge a header: control characters and line breaks become blanks, and nothing in it is
    an encoded word any more. For texts that must go out whatever stands in them.
    """
    return " ".join(_CONTROL.sub(" ", value).replace("=?", "= ?").split())


def text_header(value: str, field: str, limit: int = MAX_SUBJECT) -> str:
    """A free-text header, encoded for the wire if it is not plain ASCII; cut at `limit` characters."""
    text = safe_text(value, field)
    if len(text) > limit:
        text = text[: limit - 1].rstrip() + "\u2026"
    if text.isascii() and "=?" not in text:
        return text
    return Header(text, "utf-8", header_name=field).encode(linesep="\r\n")


def address(value: str, field: str) -> str:
    """One bare mail address, its domain in ASCII. Raises BadInput, which never shows the address."""
    local, at, domain = safe_text(value, field).rpartition("@")
    if not domain.isascii():
        try:
            # What is only another way to write ASCII, such as full-width letters, is nobody's address.
            domain = domain.encode("idna").decode() if domain == unicodedata.normalize("NFKC", domain) else ""
        except UnicodeError:
            domain = ""
    plain = f"{local}{at}{domain}"
    # The @ must stand there from the beginning: putting a domain into ASCII makes one of its full-width form.
    if not at or not _ADDRESS.fullmatch(plain) or ".." in plain:
        raise BadInput("not an address that mail can be sent to", field=field, remedy="mend it in the CRM")
    return plain


def mailbox(name: str, bare_address: str, field: str) -> str:
    """`"Name" <address>` with the name quoted or encoded."""
    where = address(bare_address, field)
    text = _DIRECTION.sub("", safe_text(name, field))[:MAX_NAME]
    if not text:
        return where
    if text.isascii() and "=?" not in text:
        return f'"{quote(text)}" <{where}>'
    return f"{Header(text, 'utf-8', header_name=field).encode(linesep=chr(13) + chr(10))} <{where}>"


def _refusal(field: str) -> BadInput:
    return BadInput(
        "the value holds a line break or control character, which could forge a header",
        field=field,
        remedy="remove it in the CRM or in the survey",
    )


def identity_headers(provider: str, message_id: str) -> dict[str, str]:
    """What lets reports about a mail name it: our own header, and the one that the provider returns with its reports."""
    own = {"X-Closedloop-Id": message_id}
    if provider == "postmark":
        return own | {"X-PM-Metadata-closedloop-id": message_id}
    if provider == "sendgrid":
        return own | {"X-SMTPAPI": json.dumps({"unique_args": {"closedloop_id": message_id}})}
    return own
