"""One POST of JSON to somebody's webhook, over in ten seconds whatever the other side does (finding its address is the resolver's
time, and each address of a name that takes no connection has ten). Redirects are not followed: they could lead to where the
operator never pointed.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import http.client
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from closedloop.clock import as_utc

TIMEOUT_SECONDS = 10.0
MAX_REPLY = 64 * 1024
LONGEST_WAIT = dt.timedelta(hours=24)


@dataclass(frozen=True)
class Reply:
    """What came of a request: its status, or None and why there is none. `retry_after`: how long we are asked to wait."""

    status: int | None
    error: str | None = None
    retry_after: dt.timedelta | None = None

    @property
    def is_taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def post(
    url: str, body: bytes, headers: Mapping[str, str], *, wall_now: dt.datetime, timeout: float = TIMEOUT_SECONDS
) -> Reply:
    """Post `body`; never raises for what the network or the other side does, and says nothing of address or answer.

    `timeout` is in seconds for all of it, so that one byte at a time keeps nobody. A new connection each time: a kept one may
    have been closed long ago, which looks like a failure. `wall_now` is the real time, for a Retry-After that is a date.
    """
    where = urlsplit(url)
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    extra = {"context": ssl.create_default_context()} if where.scheme == "https" else {}
    connection = kind(where.hostname or "", where.port, timeout=timeout, **extra)  # type: ignore[arg-type]
    late = threading.Event()
    target = (where.path or "/") + (f"?{where.query}" if where.query else "")
    try:
        with _cut_after(timeout, connection, late):
            connection.request("POST", target, body, {"Connection": "close", "User-Agent": "closedloop", **headers})
            answer = connection.getresponse()
            with contextlib.suppress(OSError, http.client.HTTPException):
                answer.read(MAX_REPLY)  # politeness: closing on unread data resets the connection
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        if late.is_set() or isinstance(error, TimeoutError):
            return Reply(None, f"no answer within {timeout:g} seconds")
        return Reply(None, f"no answer ({type(error).__name__})")
    finally:
        connection.close()
    error = None if 200 <= answer.status < 300 else f"it answers {answer.status}"
    if 300 <= answer.status < 400:
        error = f"{error}: redirects are not followed"
    return Reply(answer.status, error, _retry_after(answer.getheader("Retry-After"), wall_now))


@contextlib.contextmanager
def _cut_after(seconds: float, connection: http.client.HTTPConnection, late: threading.Event) -> Iterator[None]:
    """Shut the connection down after so long: a socket's own timeout begins anew with each byte."""
    connected: list[socket.socket] = []
    connect = connection.connect

    def remember() -> None:
        connect()
        connected.append(connection.sock)

    def cut() -> None:
        late.set()
        for one in (*connected, connection.sock):
            if one is not None:
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(one, socket.SHUT_RDWR)  # below TLS, which would wait for the other side

    connection.connect = remember  # type: ignore[method-assign]
    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _retry_after(value: str | None, wall_now: dt.datetime) -> dt.timedelta | None:
    if not value:
        return None
    try:
        if value.strip().isdecimal():
            wait = dt.timedelta(seconds=int(value.strip()[:9]))
        else:
            wait = as_utc(parsedate_to_datetime(value)) - wall_now
    except (ValueError, TypeError, OverflowError):
        return None
    return min(max(wait, dt.timedelta(0)), LONGEST_WAIT)
