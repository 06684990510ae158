"""Takes the actions that wait for the CRM, writes them as records, and notes what became of each.

An action is marked as attempted on disk before the CRM sees it, and each record has a key of its own: whatever dies in
between, the same record is written again and is still one record.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from closedloop.clock import Clock
from closedloop.ledger import Ledger
from closedloop.ledger import actions as books
from closedloop.ledger.actions import CRM, DONE, FAILED, PLANNED, SKIPPED, Result
from closedloop.ledger.standing import Standing
from dispatch.crm.mapping import WriteBack
from dispatch.crm.records import NOTHING_TO_WRITE, records_of
from dispatch.crm.sink import Outcome, Record, Sink, SinkDown

FIRST_WAIT, LAST_WAIT = dt.timedelta(minutes=1), dt.timedelta(hours=6)
MAX_ATTEMPTS = 20
"""After so many tries, some three days, what is still refused for now has failed."""


@dataclass
class WriteBackReport:
    """What one run did, in actions: `later` will be tried again. `stopped` says why the run ended before its work did."""

    done: int = 0
    failed: int = 0
    later: int = 0
    skipped: int = 0
    records: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    """Of what failed or waits."""
    stopped: str | None = None


def write_back(
    ledger: Ledger,
    sink: Sink,
    mapping: WriteBack,
    *,
    clock: Clock,
    progress: Callable[[WriteBackReport], None] | None = None,
) -> WriteBackReport:
    """Write all actions that wait for the CRM; `progress` is called after each batch. One bad record stops no other."""
    report, reasons = WriteBackReport(), Counter[str]()
    while report.stopped is None:
        batch, rows = books.begin(ledger, [CRM], now=clock.now(), limit=sink.batch)
        if not rows:
            break
        with ledger.read() as conn:
            standing = Standing(conn)
            wanted = [records_of(row, mapping, standing) for row in rows]
        written, down = _write(sink, batch, wanted)
        report.records += len(written)
        results = [_result(row, records, written, down, clock.now()) for row, records in zip(rows, wanted, strict=True)]
        books.finish(ledger, results, now=clock.now())
        for result in results:
            _count(report, reasons, result)
        report.stopped = down.reason if down else None
        report.reasons = dict(reasons)
        if progress:
            progress(report)
    return report


def _write(sink: Sink, batch: int, wanted: Sequence[Sequence[Record]]) -> tuple[dict[Name, Outcome], SinkDown | None]:
    """Each record once, though several actions want it: two scores of one account, say."""
    records = list({_name(record): record for some in wanted for record in some}.values())
    if not records:
        return {}, None
    try:
        outcomes = sink.write(batch, records)
    except SinkDown as down:
        return {}, down
    return {_name(record): outcome for record, outcome in zip(records, outcomes, strict=True)}, None


Name = tuple[str, str, str]


def _name(record: Record) -> Name:
    return record.kind, record.object, record.key_value


def _result(
    row: Mapping[str, Any],
    records: Sequence[Record],
    written: Mapping[Name, Outcome],
    down: SinkDown | None,
    now: dt.datetime,
) -> Result:
    """An action is done when all of its records are; one that failed for good fails it."""
    key = (row["invitation_id"], row["action"])
    if not records:
        return Result(key, SKIPPED, NOTHING_TO_WRITE)
    if down is not None:
        return Result(key, PLANNED, down.reason, retry_at=down.retry_at or now + _wait(row["attempts"]))
    outcomes = [written[_name(record)] for record in records]
    for state, ended in (("failed", FAILED), ("later", PLANNED)):
        if bad := next((one for one in outcomes if one.state == state), None):
            over = ended == PLANNED and row["attempts"] >= MAX_ATTEMPTS
            retry_at = None if ended == FAILED or over else now + _wait(row["attempts"])
            return Result(key, FAILED if over else ended, bad.reason, outcomes[0].record_id, retry_at)
    return Result(key, DONE, None, outcomes[0].record_id)


def _wait(attempts: int) -> dt.timedelta:
    return min(FIRST_WAIT * 2 ** min(attempts - 1, 12), LAST_WAIT)


def _count(report: WriteBackReport, reasons: Counter[str], result: Result) -> None:
    name = {DONE: "done", FAILED: "failed", SKIPPED: "skipped", PLANNED: "later"}[result.state]
    setattr(report, name, getattr(report, name) + 1)
    if result.reason and result.state in (FAILED, PLANNED):
        reasons[result.reason] += 1
