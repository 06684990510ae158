"""Counters of one process in the text format of Prometheus; no label ever holds a person, a token or an id."""

from __future__ import annotations

import threading
from collections import Counter

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
_GAUGES = {"closedloop_collector_group_size_max", "closedloop_collector_queue_depth"}


class Metrics:
    """Thread-safe counters."""

    def __init__(self) -> None:
        self._values: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

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
            largest = self._values["closedloop_collector_group_size_max", ""]
            self._values["closedloop_collector_group_size_max", ""] = max(largest, requests)

    def text(self, *, queue_depth: int) -> str:
        """The exposition; every name of HELP appears."""
        with self._lock:
            values = dict(self._values)
        values["closedloop_collector_queue_depth", ""] = queue_depth
        lines = []
        for name, meaning in HELP.items():
            lines += [f"# HELP {name} {meaning}", f"# TYPE {name} {'gauge' if name in _GAUGES else 'counter'}"]
            found = sorted((labels, value) for (known, labels), value in values.items() if known == name) or [("", 0)]
            lines += [f"{name}{{{labels}}} {value:g}" if labels else f"{name} {value:g}" for labels, value in found]
        return "\n".join(lines) + "\n"
