"""One at a time: file locks that the system gives back when their process ends, however it ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from closedloop.errors import Busy


def take_lock(path: Path, *, busy: str) -> IO[str]:
    """The open file that holds the lock until it is closed. Raises Busy(`busy`) at once when another process has it."""
    handle = path.open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        raise Busy(busy) from None
    return handle


@contextmanager
def only_one(path: Path, *, busy: str) -> Iterator[None]:
    """Hold the lock for the length of a block."""
    with take_lock(path, busy=busy):
        yield
