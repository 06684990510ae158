"""Handing one message to a mail server, knowing exactly how far it got.

The server takes responsibility when it answers 250 to the end of the data. Before the closing dot is sent nothing can
have been accepted; after it, no answer means that nobody knows.
"""

from __future__ import annotations

import contextlib
import re
import smtplib
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from closedloop.errors import ClosedLoopError

State = Literal["sent", "rejected", "uncertain", "pending"]

TIMEOUT_SECONDS = 30.0


class MailServerUnavailable(ClosedLoopError):
    """The mail server cannot be reached, or does not let us in. Transient: nothing is lost, messages stay pending."""


@dataclass(frozen=True)
class Outcome:
    """What became of one message: 'sent' (accepted), 'rejected' (for good), 'uncertain' (no answer after the data), or
    'pending' (proven not accepted: it may be tried again). `reason` holds a code and a phase, never an address."""

    state: State
    reason: str | None = None
    is_connection_lost: bool = False
    code: int | None = None
    """The server's answer, where it refused."""


class SmtpSession:
    """A connection that is opened when needed and opened again after it was lost. For one thread."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        """`url` as in CLOSEDLOOP_SMTP_URL: smtp:// (STARTTLS where the server offers it) or smtps://."""
        self._where = urlsplit(url)
        self._timeout = timeout
        self._smtp: smtplib.SMTP | None = None

    def connect(self) -> smtplib.SMTP:
        """The open connection. Raises MailServerUnavailable, without the password."""
        if self._smtp is None:
            try:
                self._smtp = _open(self._where, self._timeout)
            except (OSError, smtplib.SMTPException) as error:
                shown = f"{self._where.hostname}:{_port(self._where)}"
                raise MailServerUnavailable(
                    f"the mail server at {shown} cannot be used ({_why(error)}); nothing is lost, what is due stays "
                    "pending\n  what to do: see that it runs and that CLOSEDLOOP_SMTP_URL is right, then dispatch again"
                ) from None
        return self._smtp

    def deliver(
        self,
        sender: str,
        recipients: Sequence[str],
        data: bytes,
        *,
        wait_for_copies: bool = True,
        before_data: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Hand one message over; the first of `recipients` is whom it is for, the rest are copies.

        A copy that is refused for good does not stop the message; nor does one that is refused for now, unless
        `wait_for_copies`. `data` has CRLF line ends. `before_data` is called when the server waits for the data and has seen
        none of it. Raises MailServerUnavailable when there is no connection to begin
        with, or the server refuses the session.
        """
        smtp = self.connect()
        try:
            if len(recipients) == 1 and smtp.has_extn("pipelining"):
                outcome = self._envelope_at_once(smtp, sender, recipients[0])
            else:
                outcome = self._envelope(smtp, sender, recipients, wait_for_copies)
            if outcome is None:
                return self._data(smtp, data, before_data)
        except (OSError, smtplib.SMTPException) as error:
            self.drop()
            return Outcome("pending", f"connection lost before the data ({_why(error)})", is_connection_lost=True)
        except ValueError:  # a line break, or a character that the server's protocol has no place for
            self._reset(smtp)
            return Outcome("rejected", "an address that this mail server cannot take")
        self._reset(smtp)
        return outcome

    def close(self) -> None:
        """Say good-bye, if there is someone to hear it."""
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                smtp.quit()
            smtp.close()

    def drop(self) -> None:
        """Close without a word: the connection is not to be trusted any more."""
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            smtp.close()

    def _envelope(
        self, smtp: smtplib.SMTP, sender: str, recipients: Sequence[str], wait_for_copies: bool
    ) -> Outcome | None:
        """MAIL, RCPT and DATA; None when the server waits for the data."""
        code, _ = smtp.mail(sender)
        if code != 250:
            return self._refused(code, "sender")
        for number, recipient in enumerate(recipients):
            code, _ = smtp.rcpt(recipient)
            if code in (250, 251, 252):
                continue
            server_ends = code == 421 or code < 0
            if number == 0 or server_ends or (code < 500 and wait_for_copies):
                return self._refused(code, "recipient")
        smtp.putcmd("data")
        code, _ = smtp.getreply()
        return None if code == 354 else self._refused(code, "data")

    def _envelope_at_once(self, smtp: smtplib.SMTP, sender: str, recipient: str) -> Outcome | None:
        """The same in one go (PIPELINING, RFC 2920), for one recipient: two waits less for each message."""
        if not (_IN_BRACKETS.fullmatch(sender) and _IN_BRACKETS.fullmatch(recipient)):
            raise ValueError("an address that would end its own command")
        smtp.send(f"mail FROM:<{sender}>\r\nrcpt TO:<{recipient}>\r\ndata\r\n".encode("ascii"))
        refusal: Outcome | None = None
        for phase, fine in (("sender", (250,)), ("recipient", (250, 251, 252)), ("data", (354,))):
            code, _ = smtp.getreply()
            if code in fine:
                continue
            refusal = refusal or self._refused(code, phase)
            if self._smtp is None:
                return refusal
        if refusal is not None and code == 354:
            self.drop()  # it waits for data all the same: without the closing dot it must not accept
        return refusal

    def _data(self, smtp: smtplib.SMTP, data: bytes, before_data: Callable[[], None]) -> Outcome:
        """The data, for which the server waits."""
        before_data()
        # Failing here raises to `deliver`: without the closing dot a server must not accept (RFC 5321, 4.1.1.4).
        smtp.send(_transparent(data))
        try:
            smtp.send(b".\r\n")
            code, _ = smtp.getreply()
        except (OSError, smtplib.SMTPException) as error:
            self.drop()
            return Outcome("uncertain", f"no answer after the data ({_why(error)})", is_connection_lost=True)
        if 200 <= code < 300:
            return Outcome("sent")
        if 400 <= code < 600:
            return self._refused(code, "content")
        self.drop()
        return Outcome("uncertain", "unreadable answer after the data", is_connection_lost=True)

    def _refused(self, code: int, phase: str) -> Outcome:
        """5xx is for good, all else may be tried again; but what is refused at MAIL is our session (not logged in) or our
        own address (not ours to send from), which all messages share: no fault of this one."""
        if code == 421:
            self.drop()
            return Outcome("pending", f"{code} at {phase}: the server closes", is_connection_lost=True)
        if 500 <= code < 600 and phase == "sender":
            self.drop()
            raise MailServerUnavailable(
                f"the mail server refuses our session with {code}; nothing is lost, what is due stays pending\n"
                "  what to do: see that user and password in CLOSEDLOOP_SMTP_URL are right, and that this user may send "
                "from CLOSEDLOOP_SENDER_ADDRESS"
            )
        if 500 <= code < 600:
            return Outcome("rejected", f"{code} at {phase}")
        if code < 0:
            self.drop()
            return Outcome("pending", f"unreadable answer at {phase}", is_connection_lost=True)
        return Outcome("pending", f"{code} at {phase}", code=code)

    def _reset(self, smtp: smtplib.SMTP) -> None:
        if self._smtp is None:
            return
        try:
            if smtp.rset()[0] != 250:
                self.drop()
        except (OSError, smtplib.SMTPException):
            self.drop()


def _open(where: SplitResult, timeout: float) -> smtplib.SMTP:
    host, port = where.hostname or "", _port(where)
    if where.scheme == "smtps":
        smtp: smtplib.SMTP = smtplib.SMTP_SSL(host, port, timeout=timeout, context=_context(host))
    else:
        smtp = smtplib.SMTP(host, port, timeout=timeout)
    try:
        # The body and its closing dot are two writes; without this the second waits for the first one's receipt.
        smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        smtp.ehlo_or_helo_if_needed()
        if where.scheme == "smtp" and smtp.has_extn("starttls"):
            smtp.starttls(context=_context(host))
            smtp.ehlo()
        if where.username:
            smtp.login(unquote(where.username), unquote(where.password or ""))
    except BaseException:
        smtp.close()
        raise
    return smtp


def _context(host: str) -> ssl.SSLContext:
    """Certificates are checked, but for this machine itself, where no one stands in between."""
    context = ssl.create_default_context()
    if host in ("localhost", "127.0.0.1", "::1"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _port(where: SplitResult) -> int:
    return where.port or (465 if where.scheme == "smtps" else 25)


_IN_BRACKETS = re.compile(r"[^<>\s\x00-\x1f\x7f]*")
_LINE_START_DOT = re.compile(rb"(?m)^\.")


def _transparent(data: bytes) -> bytes:
    """The data as the wire wants it: lines that begin with a dot get another, and it ends with a line end."""
    if data.startswith(b".") or b"\n." in data:  # hardly ever; looking is a twentieth of replacing
        data = _LINE_START_DOT.sub(b"..", data)
    return data if data.endswith(b"\r\n") else data + b"\r\n"


def _why(error: Exception) -> str:
    """The kind of failure, without the server's words: these may repeat an address."""
    if isinstance(error, smtplib.SMTPResponseException):
        return f"{type(error).__name__} {error.smtp_code}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "timed out" if "timed out" in str(error) else type(error).__name__
