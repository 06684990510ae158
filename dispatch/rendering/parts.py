"""One mail, ready to be handed over."""

from __future__ import annotations

import binascii
import datetime as dt
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import format_datetime

from closedloop.clock import Clock

_LONGEST_LINE = 900
"""SMTP allows 998 characters; a body with longer lines is encoded."""


@dataclass(frozen=True, slots=True)
class EmailParts:
    """A rendered mail. Header values are already checked and encoded; `recipients` is the envelope, given explicitly
    so that nothing inside a header can add to it.
    """

    subject: str
    text: str
    html: str
    from_: str
    to: str
    recipients: tuple[str, ...]
    envelope_from: str
    message_id: str
    cc: tuple[str, ...] = ()
    reply_to: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_bytes(self, *, date: dt.datetime | None = None) -> bytes:
        """The message for the wire (CRLF). `date` is the moment of the hand-over; without it, now.

        Built by hand: the standard library's classes take 4 ms for what joins in 0.05 ms.
        """
        boundary = "=_" + hashlib.md5(self.message_id.encode()).hexdigest()
        lines = {
            "Message-ID": self.message_id,
            "Date": format_datetime(date or Clock().now()),
            "From": self.from_,
            "To": self.to,
            "Cc": ", ".join(self.cc),
            "Reply-To": self.reply_to or "",
            "Subject": self.subject,
            **self.headers,
            "MIME-Version": "1.0",
            "Content-Type": f'multipart/alternative; boundary="{boundary}"',
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
        mark = f"\r\n--{boundary}".encode()
        return b"".join(
            (
                head.encode("ascii"),
                mark,
                b"\r\n",
                _part("text/plain", self.text.encode()),
                mark,
                b"\r\n",
                # Characters outside ASCII as references: HTML then needs no transfer encoding and links stay whole.
                _part("text/html", self.html.encode("ascii", "xmlcharrefreplace")),
                mark,
                b"--\r\n",
            )
        )


def _part(kind: str, body: bytes) -> bytes:
    """One body with its head: as it is where every mail server takes it, else quoted-printable."""
    plain = body.isascii() and max(map(len, body.split(b"\n"))) <= _LONGEST_LINE
    if not plain:
        body = binascii.b2a_qp(body, istext=True)
    encoding = "7bit" if plain else "quoted-printable"
    head = f'Content-Type: {kind}; charset="utf-8"\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n'
    return head.encode() + body.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
