"""Bounces, complaints and automatic answers that arrive as mails: delivery status notifications (RFC 3464), abuse reports
(RFC 5965), and the older forms that some servers still send.

Runs alone from a shell; reading the same mail twice counts once. A mail that is no report about one of ours is left as it is.
"""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import hashlib
import imaplib
import mailbox
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from closedloop.clock import as_utc
from closedloop.errors import BadInput, ClosedLoopError
from closedloop.ledger import Ledger
from closedloop.ledger.reports import Report, record_report

PROVIDER = "mailbox"
LARGEST = 1024 * 1024
"""Of a mail so many bytes are read: what a report says stands at its beginning."""
_OURS = re.compile(r"(?im)^\s*(?:>\s*)?(?:x-closedloop-id:\s*(?P<own>[\w-]{8,64})|message-id:\s*<(?P<id>[\w-]{8,64})@)")
_STATUS = re.compile(r"(?<![\d.])(?P<class>[245])\.(?P<subject>\d{1,3})\.(?P<detail>\d{1,3})(?![\d.])")
_CODE = re.compile(r"(?m)(?:^|[\s:\"(#])(?P<code>[45]\d\d)[ -]")
_SAID = re.compile(
    r"undeliver|delivery (status|failure|has failed)|failure notice|returned mail|returned to sender|mail delivery (failed|system)|"
    r"could not be delivered|delivery to the following recipient|unzustellbar|non remis|no entregado",
    re.IGNORECASE,
)
_NEVER = re.compile(
    r"user unknown|no such user|unknown user|does not exist|mailbox (unavailable|not found)|recipient rejected|invalid recipient|"
    r"address rejected|unrouteable address|account (disabled|is disabled)|doesn't have a .{1,60} account",
    re.IGNORECASE,
)
_FULL = re.compile(r"quota|mailbox (is )?full|over ?limit|insufficient storage", re.IGNORECASE)


class MailboxUnavailable(ClosedLoopError):
    """The mailbox of bounces cannot be read. Transient: nothing is lost, the mails stay there."""


@dataclass
class BounceReport:
    """What one reading found: `read` mails, how many new reports by kind, and those that are about no mail of ours."""

    read: int = 0
    known: int = 0
    """Were counted before."""
    not_ours: int = 0
    found: dict[str, int] = field(default_factory=dict)


class Box(Protocol):
    """Where mails wait. `settle` marks one as done, and is called when what it says is on disk."""

    def waiting(self) -> Iterator[tuple[str, bytes]]: ...

    def settle(self, key: str) -> None: ...


def ingest_bounces(ledger: Ledger, url: str, *, now: dt.datetime) -> BounceReport:
    """Read all waiting mails of the mailbox at `url` (`maildir:///path`, `imaps://user:password@host/INBOX`).

    Each is committed before it is marked as done (Maildir: moved to `cur` as seen; IMAP: the flag Seen), so a kill costs a
    second reading at most. Raises BadInput for another kind of address, MailboxUnavailable.
    """
    report = BounceReport()
    with open_box(url) as box:
        for key, data in box.waiting():
            report.read += 1
            found = read_report(data, now=now)
            if found is None:
                report.not_ours += 1
            else:
                with ledger.write() as conn:
                    is_new = record_report(conn, found, now=now)
                if is_new:
                    report.found[found.kind] = report.found.get(found.kind, 0) + 1
                else:
                    report.known += 1
            box.settle(key)
    return report


def read_report(data: bytes, *, now: dt.datetime) -> Report | None:
    """What a mail says about a mail of ours; None where it is no report, or names none. `now` stands in for a date that is
    missing or cannot be."""
    mail = email.message_from_bytes(data[:LARGEST], policy=email.policy.default)
    assert isinstance(mail, EmailMessage), "the default policy makes these"
    texts = _texts(mail)
    kind = _header_of(mail, "report-type") or _report_type(mail)
    message_id = _own_id(texts)
    if message_id is None or _is_automatic_answer(mail, kind):
        return None
    if kind == "feedback-report":
        verdict, hard = "complained", False
    else:
        judged = _delivery(texts, kind, mail)
        if judged is None:
            return None
        verdict, hard = judged
    own = str(mail.get("Message-ID") or "").strip()
    return Report(
        provider=PROVIDER,
        external_id=own or hashlib.sha256(data).hexdigest(),
        kind=verdict,
        occurred_at=min(_date(mail, now), now),
        message_id=message_id,
        hard=hard,
        raw={"status": _status(texts), "report_type": kind or "none"},  # not its words: they hold addresses
    )


def _texts(mail: EmailMessage) -> list[tuple[str, str]]:
    """Content type and text of each part, the headers of returned mails included."""
    found = []
    for part in mail.walk():
        kind = part.get_content_type()
        if kind == "message/rfc822":
            inner = part.get_payload(0) if part.is_multipart() else None
            if inner is not None:
                found.append((kind, "\n".join(f"{name}: {value}" for name, value in inner.items())))
        elif kind in ("message/delivery-status", "message/feedback-report"):
            blocks = part.get_payload() if part.is_multipart() else []
            lines = ["\n".join(f"{name}: {value}" for name, value in block.items()) for block in blocks]
            found.append((kind, "\n\n".join(lines) or _decoded(part)))
        elif not part.is_multipart() and kind.startswith(("text/", "message/")):
            found.append((kind, _decoded(part)))
    return found


def _decoded(part: EmailMessage) -> str:
    payload = part.get_payload(decode=True)
    return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else str(part.get_payload())


def _own_id(texts: list[tuple[str, str]]) -> str | None:
    for _, text in texts:
        if match := _OURS.search(text):
            return match["own"] or match["id"]
    return None


def _report_type(mail: EmailMessage) -> str:
    with suppress(Exception):  # a header that cannot be parsed
        return str(mail["Content-Type"].params.get("report-type", "")).lower()
    return ""


def _header_of(mail: EmailMessage, name: str) -> str:
    return str(mail.get(name) or "").strip().lower()


def _is_automatic_answer(mail: EmailMessage, kind: str) -> bool:
    """Somebody is on holiday: the mail came. Delivery reports say `auto-replied` too, so these are told by their type."""
    if kind in ("delivery-status", "feedback-report"):
        return False
    said = _header_of(mail, "auto-submitted")
    is_reply = said.startswith("auto-replied") or bool(mail.get("X-Autoreply")) or bool(mail.get("X-Autorespond"))
    return is_reply and not _SAID.search(str(mail.get("Subject") or ""))


def _delivery(texts: list[tuple[str, str]], kind: str, mail: EmailMessage) -> tuple[str, bool] | None:
    """('bounced', whether for good), ('delivered' or 'deferred', False), None where it says nothing of the kind."""
    status = next((text for type_, text in texts if type_ == "message/delivery-status"), "")
    action = re.search(r"(?im)^action:\s*([\w-]+)", status)
    if action:
        word = action[1].lower()
        if word in ("delivered", "relayed", "expanded"):
            return "delivered", False
        if word == "delayed":
            return "deferred", False
    if not (action or kind == "delivery-status" or _says_bounced(mail, texts)):
        return None
    return "bounced", _is_for_good(status or "\n".join(text for type_, text in texts if type_.startswith("text/")))


def _says_bounced(mail: EmailMessage, texts: list[tuple[str, str]]) -> bool:
    is_system = bool(mail.get("X-Failed-Recipients")) or str(mail.get("Return-Path") or "").strip() == "<>"
    sender = str(mail.get("From") or "").lower()
    is_system = is_system or any(name in sender for name in ("mailer-daemon", "postmaster"))
    said = f"{mail.get('Subject') or ''}\n{next((text for type_, text in texts if type_ == 'text/plain'), '')[:2000]}"
    return is_system and bool(_SAID.search(said) or _NEVER.search(said))


def _is_for_good(text: str) -> bool:
    """5.x.x, but for a full mailbox (x.2.2) and a mail that is too large or looks like spam (5.3.4, 5.7.x): that says
    nothing about the address. Without a status, the server's words."""
    status = _status([("", text)])
    if status:
        is_about_the_address = status.startswith("5.1.") or status in ("5.2.1", "5.0.0", "5.4.4", "5.5.0")
        return is_about_the_address or (
            status.startswith("5.") and bool(_NEVER.search(text)) and not _FULL.search(text)
        )
    code = _CODE.search(text)
    if code and code["code"].startswith("4"):
        return False
    return bool(_NEVER.search(text)) and not _FULL.search(text)


def _status(texts: list[tuple[str, str]]) -> str:
    """The enhanced status code, such as 5.1.1; empty where there is none."""
    for _, text in texts:
        named = re.search(r"(?im)^status:\s*([245]\.\d{1,3}\.\d{1,3})", text)
        if named:
            return named[1]
    for _, text in texts:
        if match := _STATUS.search(text):
            return match[0]
    return ""


def _date(mail: EmailMessage, now: dt.datetime) -> dt.datetime:
    try:
        return as_utc(parsedate_to_datetime(str(mail["Date"])))
    except (TypeError, ValueError, OverflowError):
        return now


# Where the mails wait -----------------------------------------------------------------------------------------------


@contextmanager
def open_box(url: str) -> Iterator[Box]:
    """The mailbox at an address. Raises BadInput, which never shows the password, and MailboxUnavailable."""
    parts = urlsplit(url)
    if parts.scheme == "maildir":
        path = Path(unquote(parts.path))
        if not (path / "new").is_dir():
            raise BadInput("there is no Maildir", file=path, field="CLOSEDLOOP_BOUNCE_MAILBOX")
        yield _Maildir(path)
    elif parts.scheme in ("imap", "imaps") and parts.hostname:
        try:
            kind = imaplib.IMAP4_SSL if parts.scheme == "imaps" else imaplib.IMAP4
            port = parts.port or (993 if parts.scheme == "imaps" else 143)
            with kind(parts.hostname, port, timeout=30) as connection:
                connection.login(unquote(parts.username or ""), unquote(parts.password or ""))
                yield _Imap(connection, unquote(parts.path.strip("/")) or "INBOX")
        except (OSError, imaplib.IMAP4.error) as error:
            raise MailboxUnavailable(
                f"the mailbox at {parts.hostname} cannot be read ({type(error).__name__}); the mails stay there\n"
                "  what to do: see that CLOSEDLOOP_BOUNCE_MAILBOX is right and that the server runs"
            ) from None
    else:
        raise BadInput(
            "not the address of a mailbox",
            field="CLOSEDLOOP_BOUNCE_MAILBOX",
            remedy="write maildir:///path or imaps://user:password@host/INBOX",
        )


class _Maildir:
    def __init__(self, path: Path) -> None:
        self._box = mailbox.Maildir(path, create=False)

    def waiting(self) -> Iterator[tuple[str, bytes]]:
        for key in sorted(self._box.keys()):
            with suppress(KeyError):  # another reader was faster
                if "S" not in self._box.get_message(key).get_flags():
                    yield key, self._box.get_bytes(key)

    def settle(self, key: str) -> None:
        with suppress(KeyError):
            message = self._box.get_message(key)
            message.set_subdir("cur")
            message.add_flag("S")
            self._box[key] = message


class _Imap:
    def __init__(self, connection: imaplib.IMAP4, folder: str) -> None:
        self._imap = connection
        status, _ = connection.select(f'"{folder}"')
        if status != "OK":
            raise imaplib.IMAP4.error("there is no such folder")

    def waiting(self) -> Iterator[tuple[str, bytes]]:
        _, found = self._imap.uid("SEARCH", "UNSEEN")
        for uid in (found[0] or b"").split():
            _, parts = self._imap.uid("FETCH", uid.decode(), f"(BODY.PEEK[]<0.{LARGEST}>)")
            data = next((part[1] for part in parts if isinstance(part, tuple)), None)
            if data is not None:
                yield uid.decode(), data

    def settle(self, key: str) -> None:
        self._imap.uid("STORE", key, "+FLAGS", "(\\Seen)")
