"""Telling others: events to the endpoints of webhooks, lines to chats."""

import datetime as dt

from dagster import Config, OpExecutionContext, ResourceParam, job, op
from pydantic import Field

from closedloop.errors import ClosedLoopError
from orchestration.common.failures import RETRIES, describe, failures_told_apart
from orchestration.common.platform import Platform

_REMEDY = (
    "If that is a mistake: mend its address in CLOSEDLOOP_WEBHOOKS, then `closedloop webhooks resume` switches it on, and "
    "`closedloop webhooks replay` sends what happened meanwhile."
)


@op(retry_policy=RETRIES)
def tell_others(context: OpExecutionContext, platform: ResourceParam[Platform]) -> None:
    """Send what is due. An endpoint that fails is no failure of this run: its events wait for their next attempt."""
    from dispatch.notice import send_notice
    from orchestration import work

    with failures_told_apart():
        told = work.deliver_webhooks(platform.settings, clock=platform.clock)
    report = told.webhooks
    for name in report.switched_off:
        text = f"The endpoint '{name}' of the webhooks answers 410: it wants no more, and is switched off."
        context.log.warning(text)
        try:
            send_notice(
                platform.settings, f"Webhook switched off: {name}", f"{text}\n\n{_REMEDY}\n", now=platform.now()
            )
        except ClosedLoopError as error:  # nobody was told, but what was sent was sent
            context.log.warning(f"the operator's mail was not sent: {describe(error)}")
    if report.failed:
        context.log.warning(f"given up after the last attempt: {report.failed:,}; see `closedloop webhooks list`")
    chats = ", ".join(f"{state} {count:,}" for state, count in sorted(told.chats.items())) or "none"
    context.log.info(
        f"new: {report.queued:,}, delivered: {report.delivered:,}, to be tried again: {report.waiting:,}, chats: {chats}"
    )


@job(
    description="Send events to the endpoints of CLOSEDLOOP_WEBHOOKS, and lines to the chats of CLOSEDLOOP_CHAT_WEBHOOKS."
)
def webhooks_job() -> None:
    tell_others()


class Replay(Config):
    """Which events to send again, to one endpoint."""

    endpoint: str = Field(description="A name of CLOSEDLOOP_WEBHOOKS.")
    first: str = Field(description="The first event: its number, or a UTC date or time.")
    last: str = Field(default="", description="The last one, included. Empty: the newest.")
    only_failed: bool = Field(default=False, description="Only what was given up.")


@op(retry_policy=RETRIES)
def send_again(context: OpExecutionContext, config: Replay, platform: ResourceParam[Platform]) -> None:
    """Let events wait to be sent again, with their ids; the next delivery sends them."""
    from orchestration import work

    def end(text: str, field: str) -> int | dt.datetime:
        return int(text) if text.isascii() and text.isdigit() else platform.time(text, field=field)

    with failures_told_apart():
        count = work.replay_webhooks(
            platform.settings,
            config.endpoint,
            end(config.first, "first"),
            end(config.last, "last") if config.last.strip() else None,
            now=platform.now(),
            only_failed=config.only_failed,
        )
    context.log.info(f"{count:,} wait to be sent again")


@job(description="Send events again to an endpoint of CLOSEDLOOP_WEBHOOKS.")
def replay_webhooks_job() -> None:
    send_again()


JOBS = [webhooks_job, replay_webhooks_job]
