"""Group commit: one thread applies all waiting requests in one ledger transaction, and they are answered after it.

With full synchronisation a disk gives some 200 commits a second; a group shares one of them.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from closedloop.errors import Busy, ClosedLoopError
from closedloop.ledger import Ledger
from ingestion.collector.metrics import Metrics

T = TypeVar("T")
Work = Callable[[Connection], Any]

UNHEALTHY_SECONDS = 10
COLLISIONS = ("40P01", "40001")
"""PostgreSQL gave up one of two transactions that waited for each other: another collector's came first."""


class Overloaded(Exception):
    """More requests wait than can be answered soon; nothing was written."""


@dataclass(slots=True)
class _Request:
    work: Work
    future: Future[Any]


class GroupCommit:
    """`submit(work)` gives a future that holds the result of `work(conn)` once its transaction is on disk.

    `work` raises a ClosedLoopError before it writes anything, or not at all: then the others of the group stand. Any other
    error undoes the transaction, and each of the group is tried again alone, so that a fault spoils only its own request.
    """

    def __init__(self, ledger: Ledger, metrics: Metrics, *, largest: int = 500, capacity: int = 10_000) -> None:
        self._ledger, self._metrics, self._largest = ledger, metrics, largest
        self._waiting: queue.Queue[_Request | None] = queue.Queue(capacity)
        self._failed_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="collector-commit", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Commit what waits, then end."""
        self._waiting.put(None)
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def is_failing(self) -> bool:
        """Whether the database refused a transaction in the last seconds. Not longer: whoever sends no requests to a collector
        that is not healthy would never learn that it is again.
        """
        return self._failed_at is not None and time.monotonic() - self._failed_at < UNHEALTHY_SECONDS

    @property
    def depth(self) -> int:
        """Requests that wait now."""
        return self._waiting.qsize()

    def submit(self, work: Callable[[Connection], T]) -> Future[T]:
        """Raises Overloaded when the queue is full."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # a reader who leaves does not take the answer back
        try:
            self._waiting.put_nowait(_Request(work, future))
        except queue.Full:
            raise Overloaded from None
        return future

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            group, ended = [first], False
            while len(group) < self._largest and not ended:
                try:
                    request = self._waiting.get_nowait()
                except queue.Empty:
                    break
                if request is None:
                    ended = True
                else:
                    group.append(request)
            self._commit(group)
            if ended:
                return

    def _commit(self, group: list[_Request], tries: int = 5) -> None:
        started = time.perf_counter()
        outcomes: list[tuple[Any, Exception | None]] = []
        try:
            with self._ledger.write() as conn:
                for request in group:
                    try:
                        outcomes.append((request.work(conn), None))
                    except Busy:
                        raise
                    except ClosedLoopError as error:
                        outcomes.append((None, error))
        except Exception as error:
            if tries > 1 and getattr(getattr(error, "orig", None), "pgcode", None) in COLLISIONS:
                self._commit(group, tries - 1)
            else:
                self._failed(group, error)
            return
        self._failed_at = None
        self._metrics.committed(len(group), time.perf_counter() - started)
        for request, (result, refusal) in zip(group, outcomes, strict=True):
            if refusal is None:
                request.future.set_result(result)
            else:
                request.future.set_exception(refusal)

    def _failed(self, group: list[_Request], error: Exception) -> None:
        """Nothing of the group was written. What the database refuses it refuses for all; else one of them is at fault."""
        if len(group) == 1 or isinstance(error, DBAPIError | Busy | OSError):
            self._metrics.count("closedloop_collector_failed_commits_total")
            self._failed_at = time.monotonic()
            for request in group:
                request.future.set_exception(error)
            return
        for request in group:
            self._commit([request])
