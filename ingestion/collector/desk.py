"""What a request does in the ledger; each function runs inside the group's transaction and gives what the page shows."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection

from closedloop.ledger import answers as ledger_answers
from closedloop.ledger import showing
from closedloop.ledger.actions import plan_opt_out
from closedloop.ledger.answers import CHANGE_OF_MIND, Answer, Invitation
from closedloop.ledger.wishes import Wishes, subscribe_again, wish, wishes_of
from closedloop.programme import Survey, stored_survey
from ingestion.collector.agents import agent_of
from ingestion.collector.forms import Answers, Chosen, Posted, fields_with, read_answers

Now = Callable[[], dt.datetime]


@dataclass(frozen=True, slots=True)
class Heard:
    """What became of a posted answer. `answer` is the one that stands, None when the link had ended; `too_late` when it
    could no longer be changed.
    """

    invitation: Invitation
    answer: Answer | None = field(repr=False)
    too_late: bool = False


def visit(
    invitation_id: str,
    kind: str,
    *,
    at: dt.datetime,
    now: Now,
    score: int | None = None,
    hidden: bool = False,
    head: bool = False,
    user_agent: str = "",
) -> Callable[[Connection], Invitation | None]:
    """Keep a raw hit, and nothing else; None when there is no such invitation. Of the program only its kind is kept."""
    agent, is_machine = agent_of(user_agent)

    def work(conn: Connection) -> Invitation | None:
        found = ledger_answers.invitation(conn, invitation_id)
        if found is not None:
            details: dict[str, Any] = {"agent": agent}
            if head:
                details["method"] = "HEAD"
            if is_machine:
                details["machine"] = True
            ledger_answers.record_hit(
                conn, invitation_id, kind, at=at, now=now(), score=score, hidden=hidden, details=details
            )
        return found

    return work


def answer(
    invitation_id: str, posted: Posted, *, at: dt.datetime, now: Now, channel: str | None = None
) -> Callable[[Connection], Heard | None]:
    """Record an answer, in the portal also as done on the customer's timeline; None when there is no such invitation.

    `channel` is where it was given, by default where the invitation reached the person. The work raises BadField, before it
    writes, for answers that the survey does not have.
    """

    def work(conn: Connection) -> Heard | None:
        found = ledger_answers.invitation(conn, invitation_id)
        if found is None:
            return None
        if found.is_expired(at):
            return Heard(found, None)
        recorded = ledger_answers.record_answer(
            conn,
            invitation_id,
            posted.score,
            comment=posted.comment,
            answers=_answers(found, posted),
            channel=channel or found.channel,
            judged=posted.judged,
            visible_ms=posted.visible_ms,
            at=at,
            now=now(),
        )
        if channel == "portal" and recorded.counted:
            showing.note_completion(conn, invitation_id, recorded.answer.score, now=now())
        too_late = not recorded.counted and is_settled(recorded.answer, at)
        return Heard(found, recorded.answer, too_late)

    return work


def check_answers(survey: Survey, posted: Posted) -> None:
    """Raises BadField for answers that the survey does not have, before anything is written."""
    read_answers(survey.questions, posted.score, posted.fields)


def _answers(found: Invitation, posted: Posted) -> Answers | None:
    """The further answers that stand then: what was posted, and what was not posted but answered before.

    A score that the page posts by itself brings no answers; those that still follow the new score stay.
    """
    earlier = found.answer
    if not posted.fields and not (earlier and earlier.answers):
        return None
    questions = stored_survey(found.payload["definition"]).questions
    before = fields_with(questions, earlier.score, earlier.answers) if earlier else {}
    return read_answers(questions, posted.score, {**before, **posted.fields})


def unsubscribe(
    invitation_id: str, *, at: dt.datetime, now: Now
) -> Callable[[Connection], tuple[Invitation, bool] | None]:
    """Stop mails to the address of an invitation; the flag says whether that is new."""

    def work(conn: Connection) -> tuple[Invitation, bool] | None:
        found = ledger_answers.invitation(conn, invitation_id)
        return None if found is None else (found, ledger_answers.unsubscribe(conn, invitation_id, at=at, now=now()))

    return work


def wishes(conn: Connection, invitation_id: str) -> tuple[Invitation, Wishes] | None:
    """The invitation, and what its address wants to get."""
    found = ledger_answers.invitation(conn, invitation_id)
    return None if found is None else (found, wishes_of(conn, found.person_key or ""))


def choose(
    invitation_id: str, chosen: Chosen, surveys: Collection[str], *, at: dt.datetime, now: Now
) -> Callable[[Connection], tuple[Invitation, Wishes, bool] | None]:
    """Keep what a person chose of `surveys`; gives what stands then, and whether it is what they chose: an address that is
    blocked stays so.
    """

    def work(conn: Connection) -> tuple[Invitation, Wishes, bool] | None:
        found = wishes(conn, invitation_id)
        if found is None:
            return None
        if found[1].is_blocked or not (person := found[0].person_key):
            return *found, False
        if not chosen.any:
            ledger_answers.unsubscribe(conn, invitation_id, at=at, now=now())
        else:
            if subscribe_again(conn, person, at=at, now=now()):
                plan_opt_out(conn, vars(found[0]), now=now())
            days = chosen.at_most_every_days
            wish(conn, person, surveys=surveys, wanted=chosen.wanted, at_most_every_days=days, at=at, now=now())
        return found[0], wishes_of(conn, person), True

    return work


def is_settled(answer: Answer, at: dt.datetime) -> bool:
    """Whether a person's answer can no longer be changed. (A provisional one always gives way to a person's.)"""
    return answer.judged == "human" and at - answer.submitted_at > CHANGE_OF_MIND
