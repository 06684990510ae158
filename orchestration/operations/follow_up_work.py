"""What the one who follows up records, from the launchpad as well as from the pages and the command line."""

from typing import Literal

from dagster import Config, OpExecutionContext, ResourceParam, job, op
from pydantic import Field

from orchestration.common.failures import RETRIES, failures_told_apart
from orchestration.common.platform import Platform


class Contacted(Config):
    """A first contact with an unhappy customer."""

    invitation_id: str = Field(description="Of the answer that is followed up (`closedloop follow-up list`).")
    by: str = Field(description="Who spoke with the customer.")
    at: str = Field(default="", description="When (UTC date or time). Empty: now.")
    note: str = Field(default="", description="Kept in the ledger.")


@op(retry_policy=RETRIES)
def record_first_contact(config: Contacted, platform: ResourceParam[Platform]) -> None:
    """Record the first contact: it stops both clocks."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.followups import first_contact

    with failures_told_apart(), Ledger.open(platform.settings) as ledger, ledger.write() as conn:
        at = platform.time(config.at, field="at")
        first_contact(conn, config.invitation_id, at=at, by=config.by, note=config.note, now=platform.now())


class Ended(Config):
    """How a follow-up ended."""

    invitation_id: str = Field(description="Of the answer that was followed up.")
    outcome: Literal["resolved", "partially_resolved", "unresolvable", "no_response"] = "resolved"
    by: str = Field(description="Who closes it.")
    at: str = Field(default="", description="When (UTC date or time). Empty: now.")


@op(retry_policy=RETRIES)
def record_outcome(config: Ended, platform: ResourceParam[Platform]) -> None:
    """Record how a follow-up ended, and close it."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.followups import log_outcome

    with failures_told_apart(), Ledger.open(platform.settings) as ledger, ledger.write() as conn:
        at = platform.time(config.at, field="at")
        log_outcome(conn, config.invitation_id, config.outcome, at=at, by=config.by, now=platform.now())


class Step(Config):
    """A step of a follow-up between the first contact and its end, a note, or its being taken up again."""

    invitation_id: str = Field(description="Of the answer that is followed up (`closedloop follow-up list`).")
    do: Literal["investigating", "resolving", "reported_back", "note", "reopen"] = "investigating"
    by: str = Field(description="Who did it.")
    note: str = Field(default="", description="Kept in the history; needed for a note, and to reopen: what came up.")


@op(retry_policy=RETRIES)
def record_step(config: Step, platform: ResourceParam[Platform]) -> None:
    """Move a follow-up on, write a note to it, or reopen it."""
    from closedloop.ledger import Ledger, followups

    now, which = platform.now(), config.invitation_id
    with failures_told_apart(), Ledger.open(platform.settings) as ledger, ledger.write() as conn:
        if config.do == "note":
            followups.add_note(conn, which, config.note, by=config.by, now=now)
        elif config.do == "reopen":
            followups.reopen(conn, which, at=now, by=config.by, why=config.note, now=now)
        else:
            followups.take_step(conn, which, config.do, at=now, by=config.by, note=config.note, now=now)


class HandOver(Config):
    """Somebody else goes on with a follow-up."""

    invitation_id: str = Field(description="Of the answer that is followed up.")
    to: str = Field(description="Mail address of the one who goes on.")
    name: str = Field(default="", description="Their name.")
    user_id: str = Field(default="", description="Their id in the CRM.")
    by: str = Field(description="Who hands it over.")


@op(retry_policy=RETRIES)
def hand_over(config: HandOver, platform: ResourceParam[Platform]) -> None:
    """Let somebody else go on with a follow-up; they get a mail."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.followups import reassign

    with failures_told_apart(), Ledger.open(platform.settings) as ledger, ledger.write() as conn:
        reassign(
            conn,
            config.invitation_id,
            name=config.name,
            email=config.to,
            person_id=config.user_id or None,
            by=config.by,
            now=platform.now(),
        )


class Absence(Config):
    """Somebody is away, or is back."""

    action: Literal["add", "end"] = "add"
    email: str = Field(description="The mail address that alerts go to.")
    since: str = Field(default="", description="Begins then (UTC date or time). Empty: now.")
    until: str = Field(default="", description="Ends then (UTC date or time); needed to add.")
    by: str = Field(default="", description="Who says so; needed to add.")


@op(retry_policy=RETRIES)
def change_absences(config: Absence, platform: ResourceParam[Platform]) -> None:
    """New follow-ups go to others while somebody is away."""
    from closedloop.errors import BadInput
    from closedloop.ledger import Ledger
    from closedloop.ledger.teams import end_absence, record_absence

    with failures_told_apart(), Ledger.open(platform.settings) as ledger:
        if config.action == "end":
            end_absence(ledger, config.email, now=platform.now())
            return
        for field in ("until", "by"):
            if not getattr(config, field).strip():
                raise BadInput("needed for an absence", field=field, remedy="fill it in")
        since, until = (platform.time(getattr(config, field), field=field) for field in ("since", "until"))
        record_absence(ledger, config.email, since=since, until=until, by=config.by, now=platform.now())


class Retry(Config):
    """Actions that failed for good."""

    action: str = Field(default="", description="Only this one, such as detractor.task. Empty: all.")


@op(retry_policy=RETRIES)
def retry_actions(context: OpExecutionContext, config: Retry, platform: ResourceParam[Platform]) -> None:
    """Plan again what failed, once its cause is mended; the next write-back does it."""
    from closedloop.ledger import Ledger
    from closedloop.ledger.actions import retry_failed

    with failures_told_apart(), Ledger.open(platform.settings) as ledger:
        count = retry_failed(ledger, now=platform.now(), action=config.action or None)
    context.log.info(f"{count:,} planned again")


@job(description="Record the first contact with an unhappy customer: it stops both clocks.")
def first_contact_job() -> None:
    record_first_contact()


@job(description="Record how a follow-up ended.")
def outcome_job() -> None:
    record_outcome()


@job(description="Move a follow-up to its next step, write a note to it, or reopen it.")
def follow_up_step_job() -> None:
    record_step()


@job(description="Let somebody else go on with a follow-up.")
def hand_over_job() -> None:
    hand_over()


@job(description="Who is away: new follow-ups go to others.")
def absences_job() -> None:
    change_absences()


@job(description="Try again what workflows planned and what failed for good.")
def retry_actions_job() -> None:
    retry_actions()


JOBS = [first_contact_job, outcome_job, follow_up_step_job, hand_over_job, absences_job, retry_actions_job]
