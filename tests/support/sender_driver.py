"""Senders in processes of their own, to be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
KILLED = -signal.SIGKILL


class Driver:
    """Starts senders in processes of their own, forked from one that has imported all."""

    def __init__(self) -> None:
        self.home: dict[str, object] = {}
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "support" / "kill_driver.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def start(self, **how: object) -> int:
        self.process.stdin.write(json.dumps({**self.home, **how}) + "\n")
        self.process.stdin.flush()
        return self._read()["pid"]

    def end(self) -> int:
        return self._read()["status"]

    def run(self, **how: object) -> int:
        self.start(**how)
        return self.end()

    def _read(self) -> dict:
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(10)
