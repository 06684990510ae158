"""One sender at a time on a home."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from closedloop.errors import Busy
from closedloop.settings import Settings


@contextmanager
def sender_lock(settings: Settings) -> Iterator[None]:
    """Hold the home's sender lock; the system gives it back when the process ends, however it ends.

    Raises Busy at once when another sender holds it.
    """
    settings.ensure_home()
    with (settings.home / "sender.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Busy(
                "another sender is at work on this home\n  what to do: wait until it is done; nothing is lost meanwhile"
            ) from None
        yield
