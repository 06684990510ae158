"""What became of the mails of one round, and how the unhappy were called back. Moments are epoch seconds, UTC."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from demo.columns import DAY, HOUR, NEVER
from demo.mood import Moods
from demo.people import MANAGEMENT
from demo.rounds import Candidates, Memory

STATES = ("sent", "rejected", "suppressed", "uncertain")
_STATE_SHARES = (0.983, 0.007, 0.005, 0.005)
REASONS = {"rejected": "550 5.1.1 no such mailbox", "suppressed": "opted_out", "uncertain": "no answer after DATA"}
OUTCOMES = ("resolved", "partially_resolved", "unresolvable", "no_response")


@dataclass(frozen=True)
class Mails:
    """One row per ask. A moment of NEVER did not come, or lies after the end of the company's time."""

    state: np.ndarray  # place in STATES
    sent: np.ndarray
    delivered: np.ndarray
    bounced: np.ndarray
    is_hard: np.ndarray
    opened: np.ndarray
    clicked: np.ndarray
    answered: np.ndarray
    score: np.ndarray
    by_machine: np.ndarray  # the answer is a scanner's, not the customer's
    provisional: np.ndarray
    commented: np.ndarray
    visible_ms: np.ndarray
    scanned: np.ndarray
    unsubscribed: np.ndarray


def play(moods: Moods, asks: Candidates, memory: Memory, sealed: int, chance: np.random.Generator) -> Mails:
    """Send the mails of a round and let people react; `memory` learns of it."""
    company, contact = moods.company, asks.contact
    person, count, end = company.contacts.person[contact], len(asks), company.era.end

    def by(share: float) -> np.ndarray:
        return chance.random(count) < share

    state = np.searchsorted(np.cumsum(_STATE_SHARES[:-1]), chance.random(count), side="right")
    handled = sealed + 120 + np.arange(count) // 4 + chance.integers(0, 3, count)
    is_sent = state == 0
    bounces = is_sent & by(0.011)
    bounced = np.where(bounces, handled + chance.integers(3, 900, count), NEVER)
    arrived = handled + chance.integers(1, 40, count)
    delivered = np.where(is_sent & ~bounces, arrived, NEVER)
    reached = delivered < NEVER

    delay = (chance.lognormal(np.log(5 * HOUR), 1.5, count)).astype(np.int64) + 90
    moment = _workdays(arrived + np.minimum(delay, 30 * DAY), chance)
    answers = reached & (chance.random(count) < moods.answer_shares(asks.event, contact, moment))
    looks = reached & (answers | by(0.27))
    clicks = answers | (looks & by(0.06))
    clicked = np.where(clicks, moment, NEVER)
    opened = np.where(looks, moment - chance.integers(4, 60, count), NEVER)
    score = moods.scores(asks.event, contact, moment, memory.recovered[person], chance)
    answered = np.where(answers, moment + chance.integers(3, 25, count), NEVER)

    scanned = reached & by(0.02)
    by_machine = scanned & ~answers & by(0.25)
    answered = np.where(by_machine, arrived + 20, answered)
    score = np.where(by_machine, 0, score)
    unsubscribed = np.where(reached & by(0.007), moment + chance.integers(30, 300, count), NEVER)

    def past(moments: np.ndarray) -> np.ndarray:
        return np.where(moments < end, moments, NEVER)

    commented = by(0.62) & ~by_machine
    mails = Mails(
        state=state, sent=handled, delivered=delivered, bounced=bounced, is_hard=by(0.7), opened=past(opened),
        clicked=past(clicked), answered=past(answered), score=score, by_machine=by_machine,
        provisional=by_machine | (by(0.06) & ~commented & ~scanned), commented=commented,
        visible_ms=np.where(by_machine, 0, chance.integers(4_000, 90_000, count)), scanned=scanned,
        unsubscribed=past(unsubscribed),
    )  # fmt: skip
    _remember(memory, asks, person, mails)
    return mails


def _remember(memory: Memory, asks: Candidates, person: np.ndarray, mails: Mails) -> None:
    contacted = np.flatnonzero((mails.state == 0) | (mails.state == 3))
    for row in (asks.survey[contacted], len(memory.last_asked) - 1):
        memory.last_asked[row, person[contacted]] = mails.sent[contacted]
    counts = np.flatnonzero((mails.answered < NEVER) & ~mails.by_machine)
    memory.last_answered[person[counts]] = mails.answered[counts]
    leaves = np.minimum(mails.unsubscribed, np.where(mails.is_hard, mails.bounced, NEVER))
    np.minimum.at(memory.suppressed_at, person, leaves)


def _workdays(moment: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Two of three of what falls on a weekend wait until Monday."""
    weekday = (moment // DAY + 3) % 7
    waits = (weekday >= 5) & (chance.random(len(moment)) < 0.67)
    return np.where(waits, moment + (7 - weekday) * DAY, moment)


@dataclass(frozen=True)
class Courses:
    """How follow-ups went, one row for each."""

    assignee: np.ndarray
    contacted: np.ndarray
    closed: np.ndarray
    outcome: np.ndarray  # place in OUTCOMES


def follow_up(
    moods: Moods, contact: np.ndarray, assignee: np.ndarray, opened: np.ndarray, sla: np.ndarray,
    memory: Memory, chance: np.random.Generator,
) -> Courses:  # fmt: skip
    """Call the detractors back: faster from year to year, some late, a few never. `sla` is in seconds."""
    company, count = moods.company, len(contact)
    era = company.era
    progress = (opened - era.start) / (era.end - era.start)
    clumsy = moods.rep[assignee] < -0.8
    median = (26 - 13 * progress) * np.where(clumsy, 2.2, 1.0) * HOUR
    wait = chance.lognormal(np.log(median), 0.85, count).astype(np.int64) + 600
    contacted = _workdays(opened + wait, chance)
    # Lately there is more to do than people to do it: some of the last weeks' are open still.
    waits = chance.random(count) < np.where(opened > era.end - 26 * DAY, 0.4, 0.05)
    contacted = np.where(waits, NEVER, contacted)
    closed = contacted + (chance.lognormal(np.log(4 * DAY), 0.8, count)).astype(np.int64)
    # Who was never reached is given up after seven weeks.
    closed = np.where(contacted >= NEVER, opened + 49 * DAY, closed)
    outcome = np.searchsorted(np.cumsum([0.52, 0.25, 0.11]), chance.random(count), side="right")
    outcome = np.where(contacted >= NEVER, OUTCOMES.index("no_response"), outcome)
    contacted = np.where(contacted < era.end, contacted, NEVER)
    closed = np.where(closed < era.end, closed, NEVER)
    helped = (contacted - opened <= sla) & (closed < NEVER) & (outcome <= 1)
    memory.recovered[company.contacts.person[contact[helped]]] = True
    return Courses(assignee, contacted, closed, outcome)


def manager_of(moods: Moods, staff: np.ndarray) -> np.ndarray:
    """The manager of each; of the head, nobody: the head."""
    managers = moods.company.staff.manager[staff]
    assert MANAGEMENT == 0
    return np.where(managers < 0, staff, managers)
