"""Counters of several workers: one sum, which never goes down."""

from __future__ import annotations

import time

from ingestion.collector import metrics
from ingestion.collector.metrics import Metrics

ANSWERS, LARGEST = "closedloop_collector_answers_total", "closedloop_collector_group_size_max"


def _told(one: Metrics, line: str) -> str:
    return next(text.rpartition(" ")[2] for text in one.text(queue_depth=3).splitlines() if text.startswith(f"{line} "))


def test_each_worker_tells_the_sum_of_all(tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "SECONDS_BETWEEN_FILES", 0.01)
    first, second, alone = Metrics(tmp_path), Metrics(tmp_path), Metrics()
    for one, count in ((first, 2), (second, 3), (alone, 7)):
        one.count(ANSWERS, count, judged="human")
        one.committed(count, 0.5)
    until = time.monotonic() + 10
    while len(list(tmp_path.glob("*.json"))) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    answers = f'{ANSWERS}{{judged="human"}}'
    assert [_told(one, answers) for one in (first, second, alone)] == ["5", "5", "7"]
    assert [_told(one, LARGEST) for one in (first, second)] == ["3", "3"]
    assert _told(first, "closedloop_collector_commit_seconds_total") == "1"
    assert _told(first, "closedloop_collector_queue_depth") == "3"


def test_a_file_that_is_being_written_or_broken_is_passed_over(tmp_path):
    (tmp_path / "1-x.json").write_text("[[")
    assert _told(Metrics(tmp_path), ANSWERS) == "0"
