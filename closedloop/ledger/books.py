"""The books: planned = pending + sent + rejected + suppressed + uncertain, for each wave and in total, always."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import func, select

from closedloop.ledger.engine import Ledger
from closedloop.ledger.messages import visible
from closedloop.ledger.schema import decisions, evaluations, messages

_UNDER_WAY = {"claimed": "pending", "handed": "pending"}


@dataclass
class WaveBooks:
    """What was planned in a wave and what became of it. `pending` holds what is under way just now too."""

    survey_id: str
    wave_id: str
    planned: int = 0
    pending: int = 0
    sent: int = 0
    rejected: int = 0
    suppressed: int = 0
    uncertain: int = 0

    @property
    def balanced(self) -> bool:
        """Whether nothing appeared or disappeared."""
        return self.planned == self.pending + self.sent + self.rejected + self.suppressed + self.uncertain


def books(ledger: Ledger) -> list[WaveBooks]:
    """The books of all waves of invitations, by wave. Planned is counted from the sealed asks, the rest from messages,
    so a message that vanished or came twice shows."""
    asked = (
        select(decisions.c.survey_id, decisions.c.wave_id, func.count())
        .join(evaluations, evaluations.c.evaluation_id == decisions.c.evaluation_id)
        .where(decisions.c.decision == "ask")
        .group_by(decisions.c.survey_id, decisions.c.wave_id)
    )
    states = _states(messages.c.kind == "invitation")
    found: dict[tuple[str, str], WaveBooks] = {}
    with ledger.read() as conn:
        for survey_id, wave_id, count in conn.execute(asked):
            found[survey_id, wave_id] = WaveBooks(survey_id, wave_id, planned=count)
        for survey_id, wave_id, state, count in conn.execute(states):
            book = found.setdefault((survey_id, wave_id), WaveBooks(survey_id, wave_id))
            name = _UNDER_WAY.get(state, state)
            setattr(book, name, getattr(book, name) + count)
    return sorted(found.values(), key=lambda book: (book.wave_id, book.survey_id))


def alert_books(ledger: Ledger) -> WaveBooks:
    """The books of all alert mails together, which are no invitations."""
    return _books_of(ledger, "alert", "alerts")


def reminder_books(ledger: Ledger) -> WaveBooks:
    """The books of all reminders together, which are no invitations either."""
    return _books_of(ledger, "reminder", "reminders")


def reply_books(ledger: Ledger) -> WaveBooks:
    """The books of all mails that follow an answer: thanks, requests, sequences."""
    return _books_of(ledger, "reply", "replies")


def _books_of(ledger: Ledger, kind: str, name: str) -> WaveBooks:
    book = WaveBooks("all", name)
    with ledger.read() as conn:
        for _, _, state, count in conn.execute(_states(messages.c.kind == kind)):
            column = _UNDER_WAY.get(state, state)
            setattr(book, column, getattr(book, column) + count)
            book.planned += count
    return book


def total(waves: Iterable[WaveBooks]) -> WaveBooks:
    """The sum of several books."""
    result = WaveBooks("all", "total")
    for book in waves:
        for name in ("planned", "pending", "sent", "rejected", "suppressed", "uncertain"):
            setattr(result, name, getattr(result, name) + getattr(book, name))
    return result


def _states(which):
    return (
        select(messages.c.survey_id, messages.c.wave_id, messages.c.state, func.count())
        .where(which, visible())
        .group_by(messages.c.survey_id, messages.c.wave_id, messages.c.state)
    )
