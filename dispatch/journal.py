"""What a sender had under way, for whoever cleans up after its death.

A group of messages is marked 'handed' in the ledger with one commit; which of them the server has really seen is noted here,
by one unsynchronised write before a message's data and one after its outcome. Such writes survive the death of the process,
though not that of the machine: the journal names the machine's boot, and after another one it proves nothing. So a killed
sender leaves at most one message per connection in doubt, and a machine that lost power at most a group.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from closedloop.ledger.delivery import Flights, Result
from dispatch.smtp import Outcome

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def _boot() -> str:
    """Of the machine since it was started; empty where the system does not tell."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def read_flights(path: Path) -> Flights | None:
    """What the last sender of this home left, or None where nothing can be said."""
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return None
    try:
        head = json.loads(lines[0])
        boot, owner = head["boot"], head["owner"]
    except (ValueError, KeyError, TypeError):
        return None
    if not boot or boot != _boot():
        return None
    begun: set[str] = set()
    ended: dict[str, Result] = {}
    for line in lines[1:-1]:  # what follows the last line end was never written completely
        mark, _, rest = line.decode().partition(" ")
        if mark == "B":
            begun.add(rest)
        else:
            message_id, state, reason = json.loads(rest)
            ended[message_id] = Result(message_id, state, reason)
    return Flights(owner, begun, ended)


class Journal:
    """The journal of one run; several threads may write to it."""

    def __init__(self, path: Path, owner: str) -> None:
        """Begins anew: what an earlier run left must have been read before."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_TRUNC, 0o600)
        head = json.dumps({"boot": _boot(), "owner": owner}).encode() + b"\n"
        os.write(self._file, head)
        self._head = len(head)

    def begin(self, message_id: str) -> None:
        """Before the first byte of the message's data."""
        os.write(self._file, f"B {message_id}\n".encode())

    def end(self, message_id: str, outcome: Outcome) -> None:
        """As soon as the outcome is known."""
        os.write(self._file, f"E {json.dumps([message_id, outcome.state, outcome.reason])}\n".encode())

    def clear(self) -> None:
        """The results of all that was under way are in the ledger."""
        os.ftruncate(self._file, self._head)

    def close(self) -> None:
        os.close(self._file)
