"""Reading the Maildir: a list that stays fast with many mails, and one mail in full."""

from __future__ import annotations

import datetime as dt
import os
import re
import threading
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from email.parser import BytesHeaderParser, BytesParser
from pathlib import Path

from dispatch.mailbox.sink import ENVELOPE_TO

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._=-]{0,200}")
_HEAD_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Summary:
    """One line of the list; `at` is when the sink stored the mail (UTC)."""

    key: str
    at: dt.datetime
    sender: str
    recipients: str
    subject: str
    kind: str


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail in full."""

    summary: Summary
    headers: list[tuple[str, str]]
    html: str
    text: str
    source: str


class MailStore:
    """The mails of a Maildir. A stored mail never changes, so each head is parsed once."""

    def __init__(self, maildir: Path) -> None:
        self._folder = maildir
        self._known: dict[str, Summary] = {}
        self._lock = threading.Lock()

    def newest(self, recipient: str = "") -> list[Summary]:
        """All mails, newest first; with `recipient`, those whose envelope or To holds that text."""
        with self._lock:
            present = {path.name: path for path in self._files()}
            for gone in self._known.keys() - present.keys():
                del self._known[gone]
            for name in present.keys() - self._known.keys():
                try:
                    self._known[name] = _summary(present[name])
                except FileNotFoundError:
                    continue
            mails = sorted(self._known.values(), key=lambda one: (one.at, one.key), reverse=True)
        wanted = recipient.strip().lower()
        return [one for one in mails if wanted in one.recipients.lower()] if wanted else mails

    def read(self, key: str) -> Mail | None:
        """One mail, or None if there is none of that key."""
        if not _KEY.fullmatch(key):
            return None
        for path in (self._folder / "new" / key, self._folder / "cur" / key):
            if path.is_file():
                return _mail(path)
        return None

    def _files(self) -> list[Path]:
        return [
            Path(entry.path)
            for part in ("new", "cur")
            if (self._folder / part).is_dir()
            for entry in os.scandir(self._folder / part)
            if _KEY.fullmatch(entry.name)
        ]


def _summary(path: Path) -> Summary:
    with path.open("rb") as file:
        head = BytesHeaderParser(policy=policy.default).parsebytes(file.read(_HEAD_BYTES))
    recipients = _header(head, ENVELOPE_TO) or _header(head, "To")
    kind = _header(head, "X-Closedloop-Kind") or "mail"
    at = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC)
    return Summary(path.name, at, _header(head, "From"), recipients, _header(head, "Subject") or "(no subject)", kind)


def _mail(path: Path) -> Mail:
    source = path.read_bytes()
    message = BytesParser(policy=policy.default).parsebytes(source)
    assert isinstance(message, EmailMessage)
    return Mail(
        summary=_summary(path),
        headers=[(name, _header(message, name)) for name in dict.fromkeys(message.keys())],
        html=_body(message, "html"),
        text=_body(message, "plain"),
        source=source.decode("utf-8", "replace"),
    )


def _header(message: object, name: str) -> str:
    """All values of a header; what does not parse is shown as it is, for this is where people look for such faults."""
    try:
        values = message.get_all(name) or []  # type: ignore[attr-defined]
        return ", ".join(str(value) for value in values)
    except Exception:  # the parser of the standard library raises many kinds on malformed headers
        return ", ".join(str(value) for key, value in message._headers if key.lower() == name.lower())  # type: ignore[attr-defined]


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    try:
        return str(part.get_content())
    except (LookupError, UnicodeError, ValueError):
        data = part.get_payload(decode=True)
        return data.decode("utf-8", "replace") if isinstance(data, bytes) else ""
