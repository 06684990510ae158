"""One transaction for all that wait; a fault spoils only the request it belongs to."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import text

from closedloop.errors import BadInput
from ingestion.collector.commit import GroupCommit, Overloaded
from ingestion.collector.metrics import Metrics


@pytest.fixture
def table(ledger):
    with ledger.write() as conn:
        conn.execute(text("CREATE TABLE heard (what TEXT)"))
    return ledger


def heard(ledger) -> set[str]:
    with ledger.read() as conn:
        return set(conn.scalars(text("SELECT what FROM heard")))


def saying(word: str, then: Exception | None = None):
    def work(conn):
        if isinstance(then, BadInput):
            raise then
        conn.execute(text("INSERT INTO heard VALUES (:word)"), {"word": word})
        if then is not None:
            raise then
        return word

    return work


def test_waiting_requests_share_one_transaction(table) -> None:
    metrics = Metrics()
    commits = GroupCommit(table, metrics)
    futures = [commits.submit(saying(f"w{number}")) for number in range(20)]
    commits.start()
    assert [one.result(5) for one in futures] == [f"w{number}" for number in range(20)]
    commits.stop()
    assert "closedloop_collector_commits_total 1\n" in metrics.text(queue_depth=0)
    assert "closedloop_collector_group_size_max 20\n" in metrics.text(queue_depth=0)
    assert len(heard(table)) == 20


def test_a_refusal_and_a_fault_leave_the_others_standing(table) -> None:
    commits = GroupCommit(table, Metrics())
    good, refused = commits.submit(saying("good")), commits.submit(saying("no", BadInput("not so")))
    broken, last = commits.submit(saying("broken", KeyError("bug"))), commits.submit(saying("last"))
    commits.start()
    assert (good.result(5), last.result(5)) == ("good", "last")
    with pytest.raises(BadInput):
        refused.result(5)
    with pytest.raises(KeyError):
        broken.result(5)
    commits.stop()
    assert heard(table) == {"good", "last"}


def test_stopping_commits_what_waits(table) -> None:
    commits = GroupCommit(table, Metrics(), largest=3)
    futures = [commits.submit(saying(f"w{number}")) for number in range(10)]
    stopper = threading.Thread(target=lambda: (commits.start(), commits.stop()))
    stopper.start()
    stopper.join(10)
    assert all(one.done() for one in futures)
    assert len(heard(table)) == 10


def test_a_full_queue_says_so(table) -> None:
    commits = GroupCommit(table, Metrics(), capacity=1)
    commits.submit(saying("one"))
    with pytest.raises(Overloaded):
        commits.submit(saying("two"))
