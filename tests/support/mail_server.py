"""A raw SMTP server for tests: notes at the very moment it takes a message, and fails on demand."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable

FAULTS = [
    "mail-451",
    "mail-550",
    "mail-530",
    "rcpt-450",
    "rcpt-550",
    "data-451",
    "data-554",
    "content-452",
    "content-554",
    "cut-at-mail",
    "cut-before-data",
    "cut-in-data",
    "cut-unaccepted",
    "cut-accepted",
    "slow",
    "garbage",
    "closing",
]


class MailServer:
    """`fail(address, fault, times)` makes the next messages to an address fail; `on(phase, action)` is called at each
    'mail', 'rcpt', 'data' (before 354), 'body' (received, not yet taken), 'taken' (before the answer), 'answered'."""

    def __init__(self, pause: float = 0.0, *, pipelining: bool = False) -> None:
        self.accepted: Counter[str] = Counter()
        self.messages: dict[str, bytes] = {}
        self.envelopes: list[tuple[str, tuple[str, ...]]] = []
        self.connections = 0
        self.pipelining = pipelining
        self.lost_replies = 0
        """Messages whose data came completely and that never got a readable answer in time."""
        self.on: Callable[[str, str], None] = lambda phase, address: None
        self.pause = pause
        self._faults: dict[str, list[str]] = {}
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"smtp://127.0.0.1:{self.port}"
        threading.Thread(target=self._accept, daemon=True).start()

    def fail(self, address: str, fault: str, times: int = 1) -> None:
        assert fault in FAULTS
        self._faults.setdefault(address, []).extend([fault] * times)

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            _Conversation(self, connection).run()
        except (OSError, EOFError):
            pass
        finally:
            connection.close()


class _Cut(EOFError):
    pass


class _Conversation:
    def __init__(self, server: MailServer, connection: socket.socket) -> None:
        self.server, self.connection = server, connection
        self.lines = connection.makefile("rb")
        self.sender, self.recipients, self.fault, self.has_begun = "", [], "", False

    def say(self, text: str) -> None:
        self.connection.sendall(text.encode() + b"\r\n")

    def line(self) -> bytes:
        line = self.lines.readline()
        if not line:
            raise EOFError
        return line

    def run(self) -> None:
        self.say("220 test server")
        while True:
            command = self.line().decode().strip()
            verb = command[:4].upper()
            if verb == "EHLO":
                self.say("250-test server\r\n250 PIPELINING" if self.server.pipelining else "250 test server")
            elif verb == "MAIL":
                self.mail(re.search(r"<(.*?)>", command)[1])
            elif verb == "RCPT":
                self.rcpt(re.search(r"<(.*?)>", command)[1])
            elif verb == "DATA":
                self.data()
            elif verb == "QUIT":
                self.say("221 bye")
                return
            else:
                self.say("250 as you like")

    def mail(self, sender: str) -> None:
        self.sender, self.recipients, self.fault, self.has_begun = sender, [], "", False
        self.server.on("mail", sender)
        # The fault of a message shows at MAIL for the first address that has such a one waiting.
        for address, waiting in self.server._faults.items():
            if waiting and (waiting[0].startswith("mail-") or waiting[0] in ("cut-at-mail", "closing")):
                fault = waiting.pop(0)
                if fault == "cut-at-mail":
                    raise _Cut(address)
                if fault == "closing":
                    self.say("421 closing")
                    raise _Cut(address)
                self.say(f"{fault[-3:]} not now")
                return
        self.has_begun = True
        self.say("250 ok")

    def rcpt(self, address: str) -> None:
        if not self.has_begun:
            return self.say("503 who writes?")
        self.server.on("rcpt", address)
        waiting = self.server._faults.get(address)
        fault = waiting.pop(0) if waiting else ""
        if fault.startswith("rcpt-"):
            return self.say(f"{fault[-3:]} no")
        self.fault = self.fault or fault
        self.recipients.append(address)
        return self.say("250 ok")

    def data(self) -> None:
        if not self.recipients:
            return self.say("554 no valid recipients")
        first = self.recipients[0]
        self.server.on("data", first)
        if self.fault == "cut-before-data":
            raise _Cut
        if self.fault.startswith("data-"):
            return self.say(f"{self.fault[-3:]} no")
        self.say("354 go on")
        if self.fault == "cut-in-data":
            self.lines.read(10)
            raise _Cut
        body = []
        while (line := self.line()) != b".\r\n":
            body.append(line[1:] if line.startswith(b".") else line)
        self.server.on("body", first)
        time.sleep(self.server.pause)
        if self.fault in ("cut-unaccepted", "cut-accepted", "garbage", "slow"):
            self.server.lost_replies += 1
        if self.fault == "cut-unaccepted":
            raise _Cut
        if self.fault.startswith("content-"):
            return self.say(f"{self.fault[-3:]} no")
        self.take(b"".join(body))
        self.server.on("taken", first)
        if self.fault == "cut-accepted":
            raise _Cut
        if self.fault == "garbage":
            return self.say("what?")
        if self.fault == "slow":
            time.sleep(1.5)
        self.say("250 taken")
        self.server.on("answered", first)
        return None

    def take(self, message: bytes) -> None:
        found = re.search(rb"(?im)^message-id:\s*<([^@>]+)", message)
        key = found[1].decode() if found else self.recipients[0]
        self.server.accepted[key] += 1
        self.server.messages[key] = message
        self.server.envelopes.append((self.sender, tuple(self.recipients)))
