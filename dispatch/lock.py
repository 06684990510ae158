"""One sender at a time on a home."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from closedloop.locks import only_one
from closedloop.settings import Settings


@contextmanager
def sender_lock(settings: Settings) -> Iterator[None]:
    """Hold the home's sender lock; the system gives it back when the process ends, however it ends.

    Raises Busy at once when another sender holds it.
    """
    busy = "another sender is at work on this home\n  what to do: wait until it is done; nothing is lost meanwhile"
    with only_one(settings.ensure_home() / "sender.lock", busy=busy):
        yield
