"""Children of `closedloop up`: each in a process group of its own, all bearing a mark by which none can hide."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MARK = "CLOSEDLOOP_UP"
"""Environment variable that every process of one `up` inherits; its value is the home."""


@dataclass
class Child:
    """One long-running part: how it is started, where it answers, and the end of its log."""

    name: str
    command: Sequence[str]
    url: str
    probe: str
    log: Path
    environment: Mapping[str, str]
    stop_with: signal.Signals = signal.SIGTERM
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it as the leader of a new session: Ctrl-C at the terminal reaches only its supervisor."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=dict(self.environment),
                start_new_session=True,
            )

    @property
    def died(self) -> bool:
        """Whether it was started and has ended."""
        return self.process is not None and self.process.poll() is not None

    def last_words(self, lines: int = 12) -> str:
        """The end of its log."""
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""


def stop(children: Iterable[Child], mark: str, *, patience: float = 20.0) -> int:
    """Ask all to end, insist after `patience` seconds, and return how many processes had to be killed."""
    started = [child for child in children if child.process is not None]
    for child in started:
        if not child.died:
            _signal(child.process.pid, child.stop_with)
    until = time.monotonic() + patience
    while time.monotonic() < until and not all(child.died for child in started):
        time.sleep(0.05)
    # What is left now: grandchildren that their parents forgot, or a part that would not end.
    for child in started:
        _signal_group(child.process.pid, signal.SIGTERM)
    until = time.monotonic() + 5
    while time.monotonic() < until and marked(mark):
        time.sleep(0.05)
    killed = kill_marked(mark)
    for child in started:
        _signal_group(child.process.pid, signal.SIGKILL)
        child.process.wait()
    return killed


def kill_marked(mark: str) -> int:
    """Kill every process that bears the mark; returns how many there were."""
    found = marked(mark)
    for pid in found:
        _signal(pid, signal.SIGKILL)
    until = time.monotonic() + 5
    while time.monotonic() < until and marked(mark):
        time.sleep(0.02)
    return len(found)


def marked(mark: str) -> list[int]:
    """Living processes whose environment bears the mark, this one left out. Empty where there is no /proc."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        if pid == os.getpid():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0") and not _is_zombie(entry):
                found.append(pid)
        except OSError:
            continue  # it ended meanwhile, or is another user's
    return found


def _is_zombie(entry: Path) -> bool:
    return (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"


def _signal(pid: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, which)


def _signal_group(pid: int, which: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, which)
