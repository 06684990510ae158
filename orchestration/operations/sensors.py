"""What starts by itself in this location: dispatch, follow-up, warnings, and mails to the operator."""

import datetime as dt
import os

from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DefaultScheduleStatus,
    DefaultSensorStatus,
    ResourceParam,
    RunFailureSensorContext,
    RunRequest,
    ScheduleEvaluationContext,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    run_failure_sensor,
    schedule,
    sensor,
)

from closedloop.clock import Clock
from closedloop.ledger import Ledger
from closedloop.ledger.followups import unconfirmed
from closedloop.programme import load_surveys
from orchestration.common.platform import Platform
from orchestration.common.sensing import WORK_TAG, check_failed, request_run
from orchestration.common.waiting import (
    Waiting,
    actions_for_the_crm,
    answers_to_follow_up,
    clocks_that_ran_out,
    events_to_tell,
    messages_to_send,
    name_of,
    reminders_to_plan,
    sequences_to_move_on,
    silences,
)
from orchestration.knowledge import confirmed_among

RUNNING = DefaultSensorStatus.RUNNING
DISPATCH, FOLLOW_UP, NOTIFY = "dispatch_surveys_job", "follow_up_job", "notify_operator_job"
WRITE_BACK, WEBHOOKS = "write_back_job", "webhooks_job"
TIDY, BOUNCES = "tidy_lake_job", "ingest_bounces_job"


@sensor(
    job_name=DISPATCH,
    minimum_interval_seconds=15,
    default_status=RUNNING,
    description="Sealed messages that are due, and alerts, are sent.",
)
def due_messages(context: SensorEvaluationContext, platform: ResourceParam[Platform]) -> RunRequest | SkipReason:
    settings = platform.settings
    with Ledger.open(settings) as ledger:
        waiting = messages_to_send(ledger, now=platform.now(), approval_size=settings.wave_approval_size)
    return request_run(context.instance, DISPATCH, waiting, nothing="no message is due", real_now=Clock().now())


@sensor(
    job_name=FOLLOW_UP,
    minimum_interval_seconds=10,
    default_status=RUNNING,
    description="A new answer sets its workflows in motion without waiting for a build: an unhappy customer's alert goes out at "
    "once; a bare score waits CLOSEDLOOP_ALERT_GRACE_SECONDS for its words.",
)
def new_answers(context: SensorEvaluationContext, platform: ResourceParam[Platform]) -> RunRequest | SkipReason:
    settings = platform.settings
    grace = dt.timedelta(seconds=settings.alert_grace_seconds)
    with Ledger.open(settings) as ledger:
        confirmed = confirmed_among(settings, unconfirmed(ledger))
        waiting = answers_to_follow_up(ledger, now=platform.now(), grace=grace, confirmed=confirmed)
    return request_run(context.instance, FOLLOW_UP, waiting, nothing="no new answer", real_now=Clock().now())


@sensor(
    job_name=FOLLOW_UP,
    minimum_interval_seconds=300,
    default_status=RUNNING,
    description="A follow-up whose SLA is about to break, or has broken: the one who follows up is warned, then the manager is "
    "told, once each. Sequences of mails move on.",
)
def clocks_of_follow_ups(
    context: SensorEvaluationContext, platform: ResourceParam[Platform]
) -> RunRequest | SkipReason:
    with Ledger.open(platform.settings) as ledger:
        waiting = clocks_that_ran_out(ledger, load_surveys(platform.settings.surveys), now=platform.now())
        waiting = waiting or sequences_to_move_on(ledger, now=platform.now())
    return request_run(context.instance, FOLLOW_UP, waiting, nothing="no SLA is about to break", real_now=Clock().now())


@sensor(
    job_name=WRITE_BACK,
    minimum_interval_seconds=15,
    default_status=RUNNING,
    description="What workflows planned for the CRM, and what is to be tried again.",
)
def actions_wait_for_the_crm(
    context: SensorEvaluationContext, platform: ResourceParam[Platform]
) -> RunRequest | SkipReason:
    if platform.settings.crm_sink == "none":
        return SkipReason("CLOSEDLOOP_CRM_SINK is none")
    with Ledger.open(platform.settings) as ledger:
        waiting = actions_for_the_crm(ledger, now=platform.now())
    return request_run(context.instance, WRITE_BACK, waiting, nothing="nothing for the CRM", real_now=Clock().now())


@sensor(
    job_name=WEBHOOKS,
    minimum_interval_seconds=10,
    default_status=RUNNING,
    description="New events and retries that are due go to the endpoints of CLOSEDLOOP_WEBHOOKS, and lines to chats.",
)
def news_for_others(context: SensorEvaluationContext, platform: ResourceParam[Platform]) -> RunRequest | SkipReason:
    waiting = _untold(platform)
    return request_run(context.instance, WEBHOOKS, waiting, nothing="nobody is to be told", real_now=Clock().now())


def _untold(platform: Platform) -> Waiting | None:
    with Ledger.open(platform.settings) as ledger:
        return events_to_tell(ledger, [one.name for one in platform.settings.webhooks], now=platform.now())


@sensor(
    job_name=NOTIFY,
    minimum_interval_seconds=1800,
    default_status=RUNNING,
    description="Nothing sent, or nothing answered, for longer than CLOSEDLOOP_SILENCE_HOURS: one mail to the operator.",
)
def silence(context: SensorEvaluationContext, platform: ResourceParam[Platform]) -> SensorResult | SkipReason:
    limit = dt.timedelta(hours=platform.settings.silence_hours)
    with Ledger.open(platform.settings) as ledger:
        found = silences(ledger, now=platform.now(), longer_than=limit)
    if not found:
        return SkipReason("messages go out and answers come in")
    return SensorResult(
        run_requests=[
            RunRequest(
                run_key=name_of([quiet.kind, quiet.last_seq]),
                run_config={
                    "ops": {
                        "notify_operator": {
                            "config": {
                                "subject": f"Nothing {quiet.kind} since {quiet.since:%Y-%m-%d %H:%M} UTC",
                                "text": f"The last message was {quiet.kind} at {quiet.since:%Y-%m-%d %H:%M} UTC, more than "
                                f"{platform.settings.silence_hours} hours ago.\n\nWhere to look: the runs of the Dagster "
                                "UI, `closedloop books`, the mail server, and whether the collector can be reached "
                                f"at {platform.settings.collector_url}/healthz.\n",
                            }
                        }
                    }
                },
            )
            for quiet in found
        ]
    )


@run_failure_sensor(
    monitor_all_code_locations=True,
    default_status=RUNNING,
    minimum_interval_seconds=15,
    description="A run failed, in whichever code location: one mail to the operator, with the step and its error.",
)
def run_failed(context: RunFailureSensorContext, platform: ResourceParam[Platform]) -> None:
    from dispatch.notice import send_notice

    run = context.dagster_run
    failures = [event for event in context.get_step_failure_events() if event.is_step_failure]
    steps = [f"{event.step_key}: {_words(event)}" for event in failures]
    if any(check_failed(event) for event in failures):
        steps += ["", *_failed_checks(context.instance, run.run_id)]
    address = os.environ.get("CLOSEDLOOP_UI_URL", "http://127.0.0.1:3000").rstrip("/")
    text = "\n".join(
        [
            f"The run {run.run_id} of {run.job_name} failed.",
            "",
            *(steps or [context.failure_event.message or "No step says why."]),
            "",
            f"{address}/runs/{run.run_id}",
            "",
            "Readers keep the last good publication; nothing is sent twice when the run is started again.",
        ]
    )
    send_notice(platform.settings, f"Run failed: {run.job_name}", text)


def _failed_checks(instance: DagsterInstance, run_id: str) -> list[str]:
    """The checks that did not pass, in their own words: counts, never a value."""
    found = []
    for record in instance.all_logs(run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION):
        evaluation = record.dagster_event.asset_check_evaluation_data if record.dagster_event else None
        if evaluation is not None and not evaluation.passed:
            table = evaluation.asset_key.to_user_string()
            found.append(f"- {evaluation.check_name}, {table}: {evaluation.description or 'did not pass'}")
    return found


def _words(event: DagsterEvent) -> str:
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    if check_failed(event):
        return data.error.message.strip()
    # Not our own words: only the kind of the error, its text may hold a value.
    return (data.error.cls_name if data.error else None) or "unknown error"


@schedule(
    job_name=DISPATCH,
    cron_schedule="0 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Every hour what is due is sent, whatever the sensor did: its attempts may be used up. Here reminders begin, "
    "too.",
)
def hourly_dispatch(context: ScheduleEvaluationContext, platform: ResourceParam[Platform]) -> RunRequest | SkipReason:
    settings = platform.settings
    with Ledger.open(settings) as ledger:
        waiting = messages_to_send(ledger, now=platform.now(), approval_size=settings.wave_approval_size)
        waiting = waiting or reminders_to_plan(ledger, load_surveys(settings.surveys), now=platform.now())
    if waiting is None:
        return SkipReason("no message is due")
    return RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H}", tags={WORK_TAG: waiting.name})


@schedule(
    job_name=FOLLOW_UP,
    cron_schedule="30 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Every hour answers that no workflow has seen are followed up, whatever the sensor did: what made its runs fail "
    "may be mended by now.",
)
def hourly_follow_up(context: ScheduleEvaluationContext, platform: ResourceParam[Platform]) -> RunRequest | SkipReason:
    settings, now = platform.settings, platform.now()
    with Ledger.open(settings) as ledger:
        found = answers_to_follow_up(
            ledger, now=now, grace=dt.timedelta(0), confirmed=confirmed_among(settings, unconfirmed(ledger))
        )
        waiting = found or clocks_that_ran_out(ledger, load_surveys(settings.surveys), now=now)
        waiting = waiting or sequences_to_move_on(ledger, now=now)
    if waiting is None:
        return SkipReason("no answer waits")
    return RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H}", tags={WORK_TAG: waiting.name})


@schedule(
    job_name=WEBHOOKS,
    cron_schedule="15 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Every hour events that wait for a webhook or a chat are sent, whatever the sensor did: its attempts may be used "
    "up.",
)
def hourly_webhooks(context: ScheduleEvaluationContext, platform: ResourceParam[Platform]) -> RunRequest | SkipReason:
    waiting = _untold(platform)
    if waiting is None:
        return SkipReason("nobody is to be told")
    return RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H}", tags={WORK_TAG: waiting.name})


@schedule(
    job_name=TIDY,
    cron_schedule="30 3 * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Each night: the lake's small files are compacted, and snapshots dropped that nobody needs.",
)
def nightly_upkeep(context: ScheduleEvaluationContext, platform: ResourceParam[Platform]) -> RunRequest | SkipReason:
    if not platform.settings.lake_dir.exists():
        return SkipReason("there is no lake yet")
    return RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%d}")


@schedule(
    job_name=BOUNCES,
    cron_schedule="*/10 * * * *",
    execution_timezone="UTC",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Every ten minutes the mailbox of bounces is read, where CLOSEDLOOP_BOUNCE_MAILBOX names one.",
)
def bounces(context: ScheduleEvaluationContext, platform: ResourceParam[Platform]) -> RunRequest | SkipReason:
    if not platform.settings.bounce_mailbox:
        return SkipReason("no mailbox of bounces is set")
    return RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}")


SENSORS = [
    due_messages,
    new_answers,
    clocks_of_follow_ups,
    actions_wait_for_the_crm,
    news_for_others,
    silence,
    run_failed,
]
SCHEDULES = [hourly_dispatch, hourly_follow_up, hourly_webhooks, bounces, nightly_upkeep]
