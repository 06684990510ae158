"""Handing one text message to an SMS provider, knowing exactly how far it got; the same promise as for mail (`smtp`).

Speaks the Messages resource of Twilio, which several providers offer: a form by POST, basic authentication, JSON back. Before
the request is on its way nothing can have been accepted; after it, no clear answer means that nobody knows.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import ssl
from collections.abc import Callable, Sequence
from urllib.parse import unquote, urlencode, urlsplit

from dispatch.smtp import TIMEOUT_SECONDS, MailServerUnavailable, Outcome

MAX_REPLY = 64 * 1024


class SmsSession:
    """A connection that is opened when needed and opened again after it was lost. For one thread."""

    def __init__(self, url: str, *, timeout: float = TIMEOUT_SECONDS) -> None:
        """`url` as in CLOSEDLOOP_SMS_URL: https://account:token@host/path of the Messages resource."""
        self._where = urlsplit(url)
        self._timeout = timeout
        self._http: http.client.HTTPConnection | None = None
        login = f"{unquote(self._where.username or '')}:{unquote(self._where.password or '')}"
        self._headers = {
            "Authorization": "Basic " + base64.b64encode(login.encode()).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
            "Accept": "application/json",
        }

    def connect(self) -> http.client.HTTPConnection:
        """The open connection. Raises MailServerUnavailable, without the token."""
        if self._http is None:
            host, port = self._where.hostname or "", self._where.port
            if self._where.scheme == "https":
                made: http.client.HTTPConnection = http.client.HTTPSConnection(
                    host, port, timeout=self._timeout, context=ssl.create_default_context()
                )
            else:
                made = http.client.HTTPConnection(host, port, timeout=self._timeout)
            try:
                made.connect()
            except OSError as error:
                raise self._unavailable(type(error).__name__) from None
            self._http = made
        return self._http

    def deliver(
        self,
        sender: str,
        recipients: Sequence[str],
        data: bytes,
        *,
        wait_for_copies: bool = True,
        before_data: Callable[[], None] = lambda: None,
    ) -> Outcome:
        """Hand the text `data` (UTF-8) to the first of `recipients`; there are no copies.

        Raises MailServerUnavailable when there is no connection to begin with, or the provider refuses our credentials.
        """
        connection = self.connect()
        body = urlencode({"To": recipients[0], "From": sender, "Body": data.decode()})
        before_data()
        try:
            connection.request("POST", self._where.path or "/", body, self._headers)
            reply = connection.getresponse()
            said = reply.read(MAX_REPLY)
        except (OSError, http.client.HTTPException) as error:
            # A kept connection may have been closed long ago, but whether this request was read nobody knows.
            self.drop()
            return Outcome(
                "uncertain", f"no answer after the request ({type(error).__name__})", is_connection_lost=True
            )
        if reply.will_close:
            self.drop()
        return self._outcome(reply.status, said)

    def _outcome(self, status: int, said: bytes) -> Outcome:
        if status in (200, 201, 202):
            return Outcome("sent")
        if status in (401, 403, 404):
            raise self._unavailable(f"it answers {status}")
        reason = f"{status}{_code_of(said)} from the SMS provider"
        if status in (429, 503):  # said before anything was accepted
            return Outcome("pending", reason, code=status)
        return Outcome("rejected" if 400 <= status < 500 else "uncertain", reason, code=status)

    def _unavailable(self, why: str) -> MailServerUnavailable:
        return MailServerUnavailable(
            f"the SMS provider at {self._where.hostname} cannot be used ({why}); nothing is lost, what is due stays pending\n"
            "  what to do: see that CLOSEDLOOP_SMS_URL is right, then dispatch again"
        )

    def close(self) -> None:
        """End the connection."""
        self.drop()

    def drop(self) -> None:
        """Close: the connection is not to be trusted any more."""
        made, self._http = self._http, None
        if made is not None:
            with contextlib.suppress(OSError):
                made.close()


def _code_of(said: bytes) -> str:
    """The provider's own number for what is wrong; its words may hold the person's number."""
    try:
        code = json.loads(said)["code"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f" (code {code})" if isinstance(code, int) else ""
