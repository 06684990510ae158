"""24 months of the programme's past, written through the ledger's own operations.

Each week one evaluation: decisions by the rules, mails, what people did with them, and how the unhappy were called
back. It ends at least a week before the demo's day, so that there is something left to decide then.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from random import Random
from typing import Any

import numpy as np

from closedloop.ledger import Ledger
from closedloop.ledger.history import write_answers, write_events, write_followups, write_round
from closedloop.ledger.lists import exclude_add, suppress
from closedloop.programme import Band, Rule, Survey, band_of
from closedloop.programme.rules import DETRACTOR_MAX
from demo.columns import DAY, HOUR, NEVER, record_id
from demo.company import Company
from demo.dice import Dice
from demo.letters import Letters
from demo.mood import Moods, moods_of
from demo.outcomes import OUTCOMES, REASONS, STATES, Mails, follow_up, manager_of, play
from demo.rounds import EVENTS, RULES, WEEK, Candidates, Judged, Memory, due_between, judge, moments_of
from demo.verbatims import write_comment

Progress = Callable[[str], None]


@dataclass
class HistoryReport:
    """What was written."""

    rounds: int = 0
    asks: int = 0
    skips: int = 0
    sent: int = 0
    answered: int = 0
    unsubscribed: int = 0
    bounced: int = 0
    excluded: int = 0
    followups: int = 0
    followups_open: int = 0


MOST_CONTACTS = 50_000
"""In a larger company only one account in several has a history: two years of all would fill the disk with the past."""


def write_history(
    ledger: Ledger,
    company: Company,
    surveys: Sequence[Survey],
    *,
    today: dt.date,
    seed: int,
    months: int = 24,
    most_contacts: int = MOST_CONTACTS,
    progress: Progress | None = None,
) -> HistoryReport:
    """Write the weekly rounds of the last `months` months up to a week before `today`, and all that came of them.

    Of a company with over `most_contacts` contacts only a part of the accounts took part so far (two years of a
    million contacts are a hundred million events). Deterministic by (company, surveys, seed). Raises ValueError when
    `today` is not the company's.
    """
    if today != company.today:
        raise ValueError("the history ends on the day of the company's last export")
    history = _History(ledger, company, surveys, Dice(seed, company.size), most_contacts)
    moments = moments_of(company, months)
    history.exclude_some(moments[0])
    for number, as_of in enumerate(moments, 1):
        history.decide(as_of)
        if number % 13 and number < len(moments):
            continue
        history.flush()
        if progress:
            progress(f"round {number} of {len(moments)}: {history.report.sent:,} surveys sent so far")
    return history.report


class _History:
    def __init__(
        self, ledger: Ledger, company: Company, surveys: Sequence[Survey], dice: Dice, most_contacts: int
    ) -> None:
        self.ledger, self.company, self.surveys, self.dice = ledger, company, tuple(surveys), dice
        self.report = HistoryReport()
        self.moods: Moods = moods_of(company)
        self.memory = Memory.fresh(company, self.surveys, np.full(len(company.accounts), NEVER))
        stride = -(-company.size // most_contacts)
        self.reached = np.arange(len(company.accounts)) % stride == 0
        self.letters = Letters(company, self.surveys)
        # What came of the rounds of a quarter is written together, in the order in which it happened: fewer commits.
        self.heard: list[dict[str, Any]] = []
        self.answers: list[dict[str, Any]] = []
        self.followups: list[dict[str, Any]] = []
        self.leaving: list[tuple[int, str, str]] = []
        self.definitions_hash = hashlib.sha256("".join(s.definition_hash for s in self.surveys).encode()).hexdigest()

    def exclude_some(self, begin: int) -> None:
        """A few accounts are not to be asked, each with its reason; half of the entries have an end."""
        chance = self.dice("exclusions")
        accounts = self.company.accounts
        some = np.flatnonzero((chance.random(len(accounts)) < 0.01) & (accounts.deleted >= NEVER) & self.reached)[:50]
        for number, account in enumerate(some.tolist()):
            since = begin - DAY + number % 8 * HOUR
            until = moment(self.company.era.end + 60 * DAY) if number % 2 else None
            self.memory.excluded_at[account] = since
            exclude_add(
                self.ledger, "account", record_id("Account", account), author="demo", until=until, now=moment(since),
                reason=("contract dispute", "reference programme", "asked not to be surveyed")[number % 3],
            )  # fmt: skip
        self.report.excluded = len(some)

    def decide(self, as_of: int) -> None:
        """One round: written are its decisions and messages; what came of them waits for `flush`."""
        due = due_between(self.company, self.surveys, as_of - WEEK, as_of, self.reached)
        judged = judge(self.company, self.surveys, due, self.memory, as_of)
        asked = np.flatnonzero(~judged.failed.any(axis=1))
        sealed = as_of + 4 * 60
        asks = _some(due, asked)
        mails = play(self.moods, asks, self.memory, sealed, self.dice(f"round {as_of}"))
        letters = self.letters.of_round(due, as_of)
        chosen = [letters[place] for place in asked.tolist()]
        write_round(
            self.ledger,
            evaluation={
                "evaluation_id": hashlib.md5(f"history|{as_of}".encode()).hexdigest(),
                "as_of": moment(as_of),
                "sealed_at": moment(sealed),
                "definitions_hash": self.definitions_hash,
            },
            decisions=_decisions(self.surveys, letters, due, judged, as_of),
            messages=self._messages(chosen, asks, mails, sealed),
        )
        self.heard.extend(_events(chosen, mails))
        answers = self._answers(chosen, asks, mails)
        followups = self._followups(
            chosen, asks, mails, {row["invitation_id"] for row in answers if row["followed_up"]}
        )
        self.answers.extend(answers)
        self.followups.extend(followups)
        self.leaving.extend(_leaving(chosen, mails))
        report = self.report
        report.rounds += 1
        report.asks += len(asks)
        report.skips += len(due) - len(asks)
        report.sent += int((mails.state == 0).sum())
        report.answered += len(answers)
        report.unsubscribed += int((mails.unsubscribed < NEVER).sum())
        report.bounced += int((mails.bounced < NEVER).sum())
        report.followups += len(followups)
        report.followups_open += sum(
            row.get("first_contact_at") is None and not row.get("outcome") for row in followups
        )

    def flush(self) -> None:
        """Write what came of the rounds since the last time."""
        write_events(self.ledger, sorted(self.heard, key=lambda row: row["occurred_at"]))
        write_answers(self.ledger, sorted(self.answers, key=lambda row: row["submitted_at"]))
        write_followups(self.ledger, sorted(self.followups, key=lambda row: row["opened_at"]))
        with self.ledger.write() as conn:
            for at, key, reason in sorted(self.leaving):
                suppress(conn, [key], reason, now=moment(at))
        for waiting in (self.heard, self.answers, self.followups, self.leaving):
            waiting.clear()

    def _messages(self, chosen: list[dict], asks: Candidates, mails: Mails, sealed: int) -> Iterator[dict[str, Any]]:
        planned = moment(sealed)
        whole = self.company.era.end - sealed < 60 * DAY  # links of older mails have ended: no page needs their texts
        for row, letter in enumerate(chosen):
            survey = self.surveys[asks.survey[row]]
            state = STATES[mails.state[row]]
            yield {
                **letter,
                "message_id": letter["candidate_id"],
                "invitation_id": letter["candidate_id"],
                "kind": "invitation",
                "sequence": 0,
                "payload": self.letters.payload(int(asks.contact[row]), survey, letter, sealed, whole=whole),
                "planned_at": planned,
                "expires_at": moment(int(asks.due[row]) + survey.max_age_days * DAY),
                "link_expires_at": planned + dt.timedelta(days=survey.link_valid_days),
                "cooldown_days": survey.cooldown.days,
                "state": state,
                "state_reason": REASONS.get(state),
                "state_at": moment(int(mails.sent[row])),
                "attempts": 0 if state == "suppressed" else 1,
            }

    def _answers(self, chosen: list[dict], asks: Candidates, mails: Mails) -> list[dict[str, Any]]:
        answers = []
        for row in np.argsort(mails.answered, kind="stable").tolist():
            at = int(mails.answered[row])
            if at >= NEVER:
                break
            letter, score, comment = chosen[row], int(mails.score[row]), None
            survey, event, contact = self.surveys[asks.survey[row]], EVENTS[asks.event[row]], int(asks.contact[row])
            if mails.commented[row]:
                words = Random(f"{self.dice.seed}|{letter['candidate_id']}")
                favour = self.moods.favour(event, contact, at) if band_of(score) is not Band.PROMOTER else None
                comment = write_comment(survey.id, band_of(score), words, favour=favour)
            answers.append(
                {
                    **_about(letter),
                    "score": score,
                    "comment": comment,
                    "channel": "email",
                    "judged": "provisional" if mails.provisional[row] else "human",
                    "submitted_at": moment(at),
                    "visible_ms": int(mails.visible_ms[row]),
                    "followed_up": score <= DETRACTOR_MAX and not mails.by_machine[row],
                }
            )
        return answers

    def _followups(
        self, chosen: list[dict], asks: Candidates, mails: Mails, followed: set[str]
    ) -> list[dict[str, Any]]:
        rows = np.array([r for r, letter in enumerate(chosen) if letter["candidate_id"] in followed], np.int64)
        rows = rows[np.argsort(mails.answered[rows], kind="stable")]
        contact, opened, score = asks.contact[rows], mails.answered[rows], mails.score[rows]
        rules = [self.surveys[place].follow_up for place in asks.survey[rows].tolist()]
        account = self.company.contacts.account[contact]
        owner = self.company.accounts.owner_at(account, opened)
        by_success = np.array([rule.assignment == "customer_success_manager" for rule in rules], bool)
        escalates = np.array(
            [value <= rule.manager_up_to_score for value, rule in zip(score, rules, strict=True)], bool
        )
        assignee = np.where(by_success, self.company.accounts.csm[account], owner)
        assignee = np.where(escalates, manager_of(self.moods, owner), assignee)
        sla = np.array([rule.sla_hours * HOUR for rule in rules], np.int64)
        chance = self.dice(f"follow-up {int(opened[0]) if len(opened) else 0}")
        course = follow_up(self.moods, contact, assignee, opened, sla, self.memory, chance)
        names = self.company.staff.names
        followups = []
        for place, row in enumerate(rows.tolist()):
            since, rule = moment(int(opened[place])), rules[place]
            contacted, closed = int(course.contacted[place]), int(course.closed[place])
            followups.append(
                {
                    **_about(chosen[row]),
                    "score": int(score[place]),
                    "assignee_id": record_id("User", int(assignee[place])),
                    "assignment_rule": "manager" if escalates[place] else rule.assignment,
                    "opened_at": since,
                    "acknowledge_due_at": since + dt.timedelta(hours=rule.acknowledge_hours),
                    "due_at": since + dt.timedelta(hours=rule.sla_hours),
                    "sla_hours": rule.sla_hours,
                    "first_contact_at": moment(contacted) if contacted < NEVER else None,
                    "outcome": OUTCOMES[course.outcome[place]] if closed < NEVER else None,
                    "closed_at": moment(closed) if closed < NEVER else None,
                    "by": names[assignee[place]],
                }
            )
        return followups


def moment(seconds: int) -> dt.datetime:
    """Epoch seconds as an aware UTC time."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _some(due: Candidates, places: np.ndarray) -> Candidates:
    values = {}
    for part in fields(Candidates):
        column = getattr(due, part.name)
        values[part.name] = [column[place] for place in places.tolist()] if isinstance(column, list) else column[places]
    return Candidates(**values)


def _decisions(
    surveys: Sequence[Survey], letters: list[dict], due: Candidates, judged: Judged, as_of: int
) -> Iterator[dict[str, Any]]:
    as_of_time = moment(as_of)
    for row, letter in enumerate(letters):
        against = [RULES[place].value for place in np.flatnonzero(judged.failed[row])]
        yield {
            **letter,
            "due_at": moment(int(due.due[row])),
            "decision": "skip" if against else "ask",
            "deciding_rule": against[0] if against else Rule.PASSED.value,
            "all_failed_rules": against,
            "facts": _facts(surveys[due.survey[row]], int(judged.asked[row]), int(judged.answered[row])),
            "decided_as_of": as_of_time,
        }


def _facts(survey: Survey, asked: int, answered: int) -> dict[str, Any]:
    """What the models note with a decision, as far as the past knows it."""
    over = survey.id if survey.cooldown.scope == "survey" else "all"
    facts: dict[str, Any] = {
        "cooldown_days": survey.cooldown.days,
        "cooldown_over": over,
        "rest_days": survey.skip_after_response_days,
    }
    for name, at in (("asked_at", asked), ("answered_at", answered)):
        if at > -NEVER:
            facts[name] = f"{moment(at):%Y-%m-%d %H:%M:%S}"
    return facts


def _about(letter: dict) -> dict[str, Any]:
    return {
        "message_id": letter["candidate_id"],
        "invitation_id": letter["candidate_id"],
        **{name: letter[name] for name in ("survey_id", "contact_id", "account_id")},
    }


def _events(chosen: list[dict], mails: Mails) -> Iterator[dict[str, Any]]:
    """What happened to each mail up to the click; answers are written by their own operation."""
    for row, letter in enumerate(chosen):
        about = _about(letter)

        def happened(kind: str, at: int, about: dict = about, **payload: Any) -> dict[str, Any]:
            return {
                **about,
                "kind": kind,
                "occurred_at": moment(at),
                "payload": {"message_kind": "invitation", **payload},
            }

        state = STATES[mails.state[row]]
        yield happened(state, int(mails.sent[row]), **({"reason": REASONS[state]} if state in REASONS else {}))
        if mails.bounced[row] < NEVER:
            yield happened("bounced", int(mails.bounced[row]), hard=bool(mails.is_hard[row]))
        if mails.delivered[row] < NEVER:
            yield happened("delivered", int(mails.delivered[row]))
        if mails.scanned[row]:
            for score in range(11):
                yield happened("clicked", int(mails.delivered[row]) + 3 + score // 4, score=score, hidden=False)
            yield happened("clicked", int(mails.delivered[row]) + 6, score=None, hidden=True)
        if mails.opened[row] < NEVER:
            yield happened("opened", int(mails.opened[row]))
        if mails.clicked[row] < NEVER:
            yield happened("clicked", int(mails.clicked[row]), score=int(mails.score[row]), hidden=False)
        if mails.unsubscribed[row] < NEVER:
            yield happened("unsubscribed", int(mails.unsubscribed[row]))


def _leaving(chosen: list[dict], mails: Mails) -> Iterator[tuple[int, str, str]]:
    """Who unsubscribed or bounced for good gets no more mail: when, person key, and why."""
    hard = np.where(mails.is_hard, mails.bounced, NEVER)
    for row, letter in enumerate(chosen):
        for reason, at in (("unsubscribed", mails.unsubscribed[row]), ("bounced", hard[row])):
            if at < NEVER:
                yield int(at), letter["person_key"], reason
