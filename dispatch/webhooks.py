"""Telling others what happened: each event of the ledger to each endpoint that wants it, at least once.

An attempt is on disk before its request begins. Who dies in between leaves it to the next run, which sends the event again
under the same id; nothing but a 2xx makes it delivered. The order is the ledger's as long as all goes well.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from closedloop.clock import Clock
from closedloop.ledger import Ledger
from closedloop.ledger.webhooks import DELIVERED, FAILED, WAITING, Delivery, Ended, begin, enqueue, finish
from closedloop.settings import Settings
from closedloop.webhooks import Webhook
from dispatch.posting import TIMEOUT_SECONDS, Reply, post
from dispatch.webhook_messages import body_of, envelope, headers_of, id_of, to_bytes

WAITS = (
    dt.timedelta(seconds=5),
    dt.timedelta(minutes=5),
    dt.timedelta(minutes=30),
    *(dt.timedelta(hours=hours) for hours in (2, 5, 10, 14, 20, 24)),
)
"""After each failed attempt, as Standard Webhooks proposes: ten attempts in three days. Then the event has failed."""
JITTER = 0.1
"""Up to this share is added to a wait, so that what failed together does not come back together."""
LONGEST_RUN = dt.timedelta(seconds=20)
"""A run leaves an endpoint after so long; what is left is the next run's, and new events for others wait no longer."""
SIDE_BY_SIDE = 8
GONE, TOO_MANY, UNAVAILABLE = 410, 429, 503


@dataclass
class WebhookReport:
    """What one run did: deliveries made of new events, and how attempts ended. `switched_off`: who answered 410."""

    queued: int = 0
    delivered: int = 0
    waiting: int = 0
    failed: int = 0
    switched_off: list[str] = field(default_factory=list)


def send_webhooks(
    ledger: Ledger, settings: Settings, *, clock: Clock, wall: Clock | None = None, timeout: float = TIMEOUT_SECONDS
) -> WebhookReport:
    """Make deliveries of new events and send all that is due, each endpoint in a thread of its own.

    `wall` is the real time, where `clock` plays another day: receivers refuse what looks old. `timeout` is in seconds for each
    request. Several runs at once send nothing twice.
    """
    report = WebhookReport(queued=enqueue(ledger, settings.webhooks, now=clock.now()))
    if not settings.webhooks:
        return report
    sender = _Sender(ledger, clock, wall or Clock(), timeout)
    with ThreadPoolExecutor(min(len(settings.webhooks), SIDE_BY_SIDE)) as pool:
        results = list(pool.map(sender.send_all, settings.webhooks))
    # What came meanwhile, or was held by the export just then, is the next run's: as deliveries, which look like new work.
    report.queued += enqueue(ledger, settings.webhooks, now=clock.now())
    counts = sum(results, Counter())
    report.delivered, report.waiting, report.failed = (counts[state] for state in (DELIVERED, WAITING, FAILED))
    report.switched_off = [one.name for one, count in zip(settings.webhooks, results, strict=True) if count["gone"]]
    return report


@dataclass(frozen=True)
class _Sender:
    ledger: Ledger
    clock: Clock
    wall: Clock
    timeout: float

    def send_all(self, webhook: Webhook) -> Counter[str]:
        """All that is due for one endpoint, until it is to be left alone; counts by how attempts ended."""
        counts: Counter[str] = Counter()
        until = self.wall.now() + LONGEST_RUN
        while self.wall.now() < until:
            delivery = begin(self.ledger, webhook.name, now=self.clock.now())
            if delivery is None:
                break
            ended = self._attempt(webhook, delivery)
            finish(self.ledger, delivery, ended, now=self.clock.now())
            counts[ended.state] += 1
            counts["gone"] += ended.gone
        return counts

    def _attempt(self, webhook: Webhook, delivery: Delivery) -> Ended:
        wall_now = self.wall.now()
        try:
            body = body_of(delivery, webhook)
        except Exception as error:  # our own fault, and all that follows must not wait for it to be mended
            return Ended(FAILED, error=f"the event cannot be written ({type(error).__name__})")
        headers = headers_of(id_of(delivery.event), body, webhook.secret, wall_now=wall_now)
        reply = post(webhook.url, body, headers, wall_now=wall_now, timeout=self.timeout)
        return ended_by(reply, delivery, now=self.clock.now())


def ended_by(reply: Reply, delivery: Delivery, *, now: dt.datetime) -> Ended:
    """What a reply means for a delivery."""
    if reply.is_taken:
        return Ended(DELIVERED, reply.status)
    said = {"status": reply.status, "error": reply.error}
    if reply.status == GONE:
        return Ended(WAITING, **said, gone=True)
    if delivery.attempts > len(WAITS):
        return Ended(FAILED, **said)
    asked = reply.retry_after or dt.timedelta(0)
    rests = now + asked if asked and reply.status in (TOO_MANY, UNAVAILABLE) else None
    return Ended(WAITING, **said, retry_at=now + max(_wait(delivery), asked), rest_until=rests)


def _wait(delivery: Delivery) -> dt.timedelta:
    """The wait after this attempt. Its jitter is drawn from what it is about: the same every time."""
    digest = hashlib.sha256(f"{delivery.endpoint} {delivery.seq} {delivery.attempts}".encode()).digest()
    return WAITS[delivery.attempts - 1] * (1 + JITTER * digest[0] / 255)


def send_ping(webhook: Webhook, *, clock: Clock, wall: Clock | None = None, timeout: float = TIMEOUT_SECONDS) -> Reply:
    """Send a signed event of type `ping`, outside the books."""
    id_, wall_now = f"ping-{uuid.uuid4().hex}", (wall or Clock()).now()
    body = to_bytes(envelope(id_, "ping", clock.now().isoformat(), {"endpoint": webhook.name}))
    headers = headers_of(id_, body, webhook.secret, wall_now=wall_now)
    return post(webhook.url, body, headers, wall_now=wall_now, timeout=timeout)
