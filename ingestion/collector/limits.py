"""So many requests of one client in a minute, and no more: 429 with the time to wait.

A token bucket for each address (IPv6: each /64, which is one customer of a provider), in memory, of this process. What
writes costs from the small bucket, what only looks from the large one. Reports of mail providers prove who they
are and are not counted; health and metrics neither.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

MINUTE = 60.0
MAX_CLIENTS = 50_000
"""Buckets in memory; past that the one that was used longest ago is forgotten, and is full again."""


class Buckets:
    """`per_minute` tokens for each client, refilled evenly; 0: no limit."""

    def __init__(self, per_minute: int, *, now: Callable[[], float] = time.monotonic) -> None:
        self._size, self._now = float(per_minute), now
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, client: str) -> float:
        """Seconds until this client has a token; 0 when it has one now."""
        left = self._tokens(client)
        return 0.0 if not self._size or left >= 1 else (1 - left) * MINUTE / self._size

    def take(self, client: str) -> None:
        """Take a token, if there is one."""
        if not self._size:
            return
        self._left[client] = (max(self._tokens(client) - 1, 0.0), self._now())
        self._left.move_to_end(client)
        if len(self._left) > MAX_CLIENTS:
            self._left.popitem(last=False)

    def _tokens(self, client: str) -> float:
        left, since = self._left.get(client, (self._size, self._now()))
        return min(self._size, left + (self._now() - since) * self._size / MINUTE)


class RateLimit:
    """ASGI middleware; `refuse` makes the page that says so."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        posts: Buckets,
        visits: Buckets,
        refuse: Callable[[Request], Awaitable[Response]],
    ) -> None:
        self._app, self._posts, self._visits, self._refuse = app, posts, visits, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = client_of(scope) if scope["type"] == "http" else ""
        if not client or _is_free(scope["path"]):
            await self._app(scope, receive, send)
            return
        buckets = self._posts if scope["method"] == "POST" else self._visits
        if wait := buckets.wait(client):
            response = await self._refuse(Request(scope))
            response.headers["Retry-After"] = str(math.ceil(wait))
            await response(scope, receive, send)
            return
        buckets.take(client)
        await self._app(scope, receive, send)


def client_of(scope: Scope) -> str:
    """Whose bucket a request empties: its address as the server knows it (behind a proxy: as the proxy told). Empty for this
    machine itself: a proxy here that names nobody must not make all people one client.
    """
    host = (scope.get("client") or ("",))[0]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_loopback:
        return ""
    if address.version == 4:
        return host
    return str(ipaddress.ip_network((address, 64), strict=False))


def _is_free(path: str) -> bool:
    return path in ("/healthz", "/metrics") or path.startswith("/webhooks/")
