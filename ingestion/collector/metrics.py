"""Counters in the text format of Prometheus; no label ever holds a person, a token or an id.

Several workers keep their counters in files of one folder, a second old at most, so that each scrape shows the sum of all,
whichever worker answers it. What a worker counted that died stays: a counter never goes down.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections import Counter
from pathlib import Path
from uuid import uuid4

HELP = {
    "closedloop_collector_answers_total": "Answers on disk, by how they were judged.",
    "closedloop_collector_hits_total": "Raw hits on disk: clicked, viewed, opened.",
    "closedloop_collector_unsubscribes_total": "Unsubscribe requests on disk, repeated ones included.",
    "closedloop_collector_preferences_total": "Choices of what to get on disk, repeated ones included.",
    "closedloop_collector_reports_total": "Reports of mail providers on disk, repeated ones included.",
    "closedloop_collector_refused_total": "Requests refused, by status code.",
    "closedloop_collector_failed_commits_total": "Transactions that failed; their requests got 503.",
    "closedloop_collector_commits_total": "Ledger transactions committed.",
    "closedloop_collector_committed_requests_total": "Requests in committed transactions.",
    "closedloop_collector_commit_seconds_total": "Seconds spent in committed transactions.",
    "closedloop_collector_group_size_max": "The largest group of requests that shared a transaction.",
    "closedloop_collector_queue_depth": "Requests that wait for the next transaction.",
}
LARGEST, DEPTH = "closedloop_collector_group_size_max", "closedloop_collector_queue_depth"
_GAUGES = {LARGEST, DEPTH}
SECONDS_BETWEEN_FILES = 1.0

Values = dict[tuple[str, str], float]


class Metrics:
    """Thread-safe counters; with a `folder`, which all workers share, those of all of them."""

    def __init__(self, folder: Path | None = None) -> None:
        self._values: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._mine = folder / f"{os.getpid()}-{uuid4().hex}.json" if folder else None
        if self._mine:
            self._mine.parent.mkdir(parents=True, exist_ok=True)
            threading.Thread(target=self._keep, name="metrics", daemon=True).start()

    def count(self, name: str, by: float = 1, **labels: str) -> None:
        shown = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        with self._lock:
            self._values[name, shown] += by  # type: ignore[assignment]  # seconds are fractions

    def committed(self, requests: int, seconds: float) -> None:
        """One transaction of `requests` requests is on disk after `seconds`."""
        with self._lock:
            self._values["closedloop_collector_commits_total", ""] += 1
            self._values["closedloop_collector_committed_requests_total", ""] += requests
            self._values["closedloop_collector_commit_seconds_total", ""] += seconds  # type: ignore[assignment]
            self._values[LARGEST, ""] = max(self._values[LARGEST, ""], requests)

    def text(self, *, queue_depth: int) -> str:
        """The exposition; every name of HELP appears."""
        values = self._now()
        values[DEPTH, ""] = queue_depth
        for others in self._others():
            for key, value in others.items():
                known = values.get(key, 0)
                values[key] = max(known, value) if key[0] == LARGEST else known + value
        lines = []
        for name, meaning in HELP.items():
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {'gauge' if name in _GAUGES else 'counter'}"]
            found = sorted((labels, value) for (known, labels), value in values.items() if known == name) or [("", 0)]
            lines += [f"{name}{{{labels}}} {value:g}" if labels else f"{name} {value:g}" for labels, value in found]
        return "\n".join(lines) + "\n"

    def _now(self) -> Values:
        with self._lock:
            return dict(self._values)

    def _others(self) -> list[Values]:
        """What the other workers wrote last; the requests that wait at them are not known."""
        found = []
        for file in self._mine.parent.glob("*.json") if self._mine else ():
            if file != self._mine:
                with contextlib.suppress(OSError, ValueError):
                    found.append({(name, labels): value for name, labels, value in json.loads(file.read_text())})
        return found

    def _keep(self) -> None:
        """Write this worker's counters whenever they changed."""
        assert self._mine is not None
        written: Values = {}
        while True:
            time.sleep(SECONDS_BETWEEN_FILES)
            values = self._now()
            if values != written:
                draft = self._mine.with_suffix(".draft")
                with contextlib.suppress(OSError):  # a full disk stops the answers, which say so
                    draft.write_text(json.dumps([[*key, value] for key, value in values.items()]))
                    draft.replace(self._mine)
                    written = values
