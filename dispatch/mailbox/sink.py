"""An SMTP server on loopback that keeps each mail as a file of a Maildir and sends nothing on."""

from __future__ import annotations

import mailbox
import re
import socket
from pathlib import Path
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from closedloop.serving import listen

ENVELOPE_TO, ENVELOPE_FROM = "X-Envelope-To", "X-Envelope-From"
_FORGED = re.compile(rb"(?im)^(?:X-Envelope-To|X-Envelope-From)[ \t]*:.*(?:\r?\n[ \t].*)*\r?\n?")


class MailSink:
    """`with MailSink(settings.mailbox_dir, "127.0.0.1", 8025): ...`. Port 0 takes a free port; `.port` says which.

    A 250 reply means that the file is on disk. Raises BadInput when the port cannot be taken.
    """

    def __init__(self, maildir: Path, host: str = "127.0.0.1", port: int = 8025) -> None:
        self.maildir, self.host, self.port = Path(maildir), host, port
        self._controller: _Controller | None = None

    def start(self) -> Self:
        sock = listen(self.host, self.port, remedy="stop what uses it, or set CLOSEDLOOP_SMTP_URL to another port")
        self.maildir.parent.mkdir(parents=True, exist_ok=True)
        box = mailbox.Maildir(self.maildir, create=True)
        self.port = sock.getsockname()[1]
        self._controller = _Controller(_Keeper(box), sock, hostname=self.host, port=self.port, enable_SMTPUTF8=True)
        self._controller.start()
        return self

    def stop(self) -> None:
        if self._controller is not None:
            self._controller.stop(no_assert=True)
            self._controller = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Controller(Controller):
    """aiosmtpd's controller on a socket that is bound already, so that a busy port fails early and clearly."""

    def __init__(self, handler: _Keeper, sock: socket.socket, **options: Any) -> None:
        super().__init__(handler, **options)
        self._sock = sock

    def _create_server(self) -> Any:
        return self.loop.create_server(self._factory_invoker, sock=self._sock)


class _Keeper:
    """Writes each mail whole: Maildir files appear by rename, after fsync."""

    def __init__(self, box: mailbox.Maildir) -> None:
        self._box = box

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.content if isinstance(envelope.content, bytes) else (envelope.content or "").encode()
        head, gap, body = content.partition(b"\r\n\r\n")
        # The envelope says who really got it; a header of that name from outside would say anything.
        head = _FORGED.sub(b"", head + b"\r\n")
        stamp = f"{ENVELOPE_FROM}: {envelope.mail_from or '<>'}\r\n{ENVELOPE_TO}: {', '.join(envelope.rcpt_tos)}\r\n"
        try:
            self._box.add(stamp.encode() + head + (gap[2:] or b"\r\n") + body)
        except OSError as error:
            return f"452 4.3.1 the mail could not be stored ({error.strerror})"
        return "250 2.0.0 stored"
