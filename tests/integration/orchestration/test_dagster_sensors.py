"""Every sensor ticks on an instance of its own with a real ledger: what waits is done once, and tried again after a failure."""

from __future__ import annotations

import datetime as dt
import os

import pytest
from dagster import DagsterRunStatus, RunRequest, SkipReason, build_schedule_context, build_sensor_context
from ledger_world import candidate, plan, publish, survey
from sqlalchemy import select, update

from closedloop.ledger import answers, delivery
from closedloop.ledger.lists import suppress
from closedloop.ledger.schema import messages
from closedloop.ledger.webhooks import enqueue
from closedloop.webhooks import Webhook
from dispatch.followup import run_follow_up
from orchestration.common.platform import Platform
from orchestration.common.runs import RunFailed, run_in_process
from orchestration.common.sensing import ATTEMPTS, WORK_TAG
from orchestration.operations import sensors as operations
from orchestration.operations.location import definitions as operations_location
from orchestration.warehouse import sensors as warehouse


@pytest.fixture
def tick(instance, platform):
    """Evaluates a sensor or schedule once and gives what it answered."""

    def evaluate(sensor, cursor: str | None = None):
        return sensor(build_sensor_context(instance=instance, cursor=cursor, resources={"platform": platform}))

    return evaluate


def record_run(instance, job_name: str, request: RunRequest, status: DagsterRunStatus) -> None:
    job = operations_location().resolve_job_def(job_name)
    instance.create_run_for_job(job, status=status, tags={**request.tags, "dagster/run_key": request.run_key})


def detractor(ledger, now: dt.datetime, name: str = "ada", score: int = 3, comment: str = "Too slow.") -> str:
    (invitation_id,) = plan(ledger, [candidate(name)], now=now)
    with ledger.write() as conn:
        answers.record_answer(
            conn,
            invitation_id,
            score,
            comment=comment,
            answers={},
            channel="email",
            judged="human",
            visible_ms=5000,
            at=now,
            now=now,
        )
    return invitation_id


def test_on_an_empty_home_every_sensor_has_nothing_to_do(tick) -> None:
    for sensor in (*operations.SENSORS[:-1], *warehouse.SENSORS):
        assert isinstance(tick(sensor), SkipReason), sensor.name


def test_due_messages_start_one_run_by_the_name_of_the_work(tick, instance, ledger, platform, now) -> None:
    plan(ledger, [candidate("ada"), candidate("bob")], now=now)
    first, again = tick(operations.due_messages), tick(operations.due_messages, cursor="something else")
    assert isinstance(first, RunRequest)
    assert first.run_key == again.run_key  # another daemon, or a lost cursor, asks for the same run
    record_run(instance, operations.DISPATCH, first, DagsterRunStatus.STARTED)
    assert "at work" in tick(operations.due_messages).skip_message


def test_more_messages_are_another_piece_of_work(tick, ledger, now) -> None:
    plan(ledger, [candidate("ada")], now=now)
    first = tick(operations.due_messages)
    plan(ledger, [candidate("bob")], now=now)
    assert tick(operations.due_messages).run_key != first.run_key


def test_what_came_outside_business_hours_starts_nothing_until_they_begin(tick, ledger, platform, now) -> None:
    programme = survey(business_hours={"opens": "10:00", "time_zone": "UTC"})
    plan(ledger, [candidate("ada", programme=programme)], now=now)
    early = tick(operations.due_messages)
    (wave,) = delivery.pending_waves(ledger)
    surveys = {programme.id: programme}
    claim = delivery.claim(ledger, wave, surveys=surveys, settings=platform.settings, owner="me", now=now)
    assert claim.held == {"outside business hours": 1}
    assert isinstance(tick(operations.due_messages), SkipReason)
    platform.clock.time = now + dt.timedelta(hours=1)
    assert tick(operations.due_messages).run_key != early.run_key  # the early run's key is used up


def test_what_waits_for_approval_starts_nothing_until_approved(tick, ledger, platform, now, monkeypatch) -> None:
    small = platform.settings.model_copy(update={"wave_approval_size": 1})
    object.__setattr__(platform, "settings", small)
    (first, _) = plan(ledger, [candidate("ada"), candidate("bob")], now=now)
    assert isinstance(tick(operations.due_messages), SkipReason)
    delivery.approve_wave(ledger, candidate("ada")["wave_id"], by="Olga", now=now)
    assert isinstance(tick(operations.due_messages), RunRequest)
    assert first


def test_an_alert_does_not_wait_for_the_approval_of_its_wave(tick, ledger, platform, now) -> None:
    settings = platform.settings
    detractor(ledger, now)
    run_follow_up(ledger, settings, [survey()], now=now)
    plan(ledger, [candidate("bob"), candidate("cyd")], now=now)
    with ledger.write() as conn:
        conn.execute(
            update(messages).where(messages.c.contact_id == "ada", messages.c.kind == "invitation").values(state="sent")
        )
    object.__setattr__(platform, "settings", settings.model_copy(update={"wave_approval_size": 2}))
    with ledger.read() as conn:
        assert set(conn.scalars(select(messages.c.wave_id))) == {candidate("ada")["wave_id"]}
    request = tick(operations.due_messages)
    assert isinstance(request, RunRequest)


def test_a_failed_run_is_started_again_later_and_not_for_ever(tick, instance, ledger, now) -> None:
    plan(ledger, [candidate("ada")], now=now)
    keys = []
    request = tick(operations.due_messages)
    for _ in range(ATTEMPTS):
        keys.append(request.run_key)
        record_run(instance, operations.DISPATCH, request, DagsterRunStatus.FAILURE)
        assert "next attempt" in tick(operations.due_messages).skip_message or len(keys) == ATTEMPTS
        request = RunRequest(run_key=f"{request.tags[WORK_TAG]}-{len(keys)}", tags=request.tags)
    assert len(set(keys)) == ATTEMPTS
    assert "start it by hand" in tick(operations.due_messages).skip_message


def test_a_run_that_failed_for_good_is_not_started_again(tick, instance, ledger, platform, now, tmp_path) -> None:
    plan(ledger, [candidate("ada")], now=now)
    request = tick(operations.due_messages)
    (tmp_path / "broken.yml").write_text("id: [")
    broken = Platform(platform.settings.model_copy(update={"surveys": tmp_path}), platform.clock, quiet=True)
    with pytest.raises(RunFailed, match="broken.yml"):
        run_in_process(
            operations_location(broken),
            operations.DISPATCH,
            location="operations",
            instance=instance,
            tags=request.tags,
        )
    assert "mend the cause" in tick(operations.due_messages).skip_message


def test_an_unhappy_answer_starts_the_follow_up(tick, ledger, now) -> None:
    detractor(ledger, now)
    first = tick(operations.new_answers)
    assert isinstance(first, RunRequest)
    detractor(ledger, now, "bob")
    assert tick(operations.new_answers).run_key != first.run_key
    assert isinstance(tick(operations.clocks_of_follow_ups), SkipReason)


def test_a_bare_score_waits_a_little_for_its_words(tick, ledger, platform, now) -> None:
    detractor(ledger, now, comment="")
    assert isinstance(tick(operations.new_answers), SkipReason)
    platform.clock.time = now + dt.timedelta(seconds=platform.settings.alert_grace_seconds)
    assert isinstance(tick(operations.new_answers), RunRequest)


def test_the_warning_comes_before_the_sla_ends_and_once(tick, ledger, platform, now) -> None:
    from dispatch.clocks import watch_clocks
    from dispatch.followup import run_follow_up

    detractor(ledger, now)
    run_follow_up(ledger, platform.settings, [survey()], now=now)
    assert isinstance(tick(operations.new_answers), SkipReason)
    platform.clock.time = now + dt.timedelta(hours=47)
    assert isinstance(tick(operations.clocks_of_follow_ups), RunRequest)
    watch_clocks(ledger, platform.settings, [survey()], now=platform.now())
    assert isinstance(tick(operations.clocks_of_follow_ups), SkipReason)


def test_silence_is_reported_once_for_each_kind(tick, ledger, platform, now) -> None:
    detractor(ledger, now)
    assert isinstance(tick(operations.silence), SkipReason)
    platform.clock.time = now + dt.timedelta(hours=platform.settings.silence_hours + 1)
    (request,) = tick(operations.silence).run_requests  # answered, and then no more; nothing was ever sent
    platform.clock.time += dt.timedelta(hours=5)
    assert tick(operations.silence).run_requests[0].run_key == request.run_key
    assert "Nothing answered since" in str(request.run_config)


def test_the_hourly_schedule_sends_only_what_is_due(instance, platform, ledger, now) -> None:
    def at(hour: int):
        time = now.replace(hour=hour)
        return operations.hourly_dispatch(
            build_schedule_context(instance, scheduled_execution_time=time, resources={"platform": platform})
        )

    assert isinstance(at(10), SkipReason)
    plan(ledger, [candidate("ada")], now=now)
    assert at(10).run_key != at(11).run_key


def test_the_hourly_schedule_follows_up_what_the_sensor_gave_up(tick, instance, platform, ledger, now) -> None:
    def at(hour: int):
        time = now.replace(hour=hour)
        return operations.hourly_follow_up(
            build_schedule_context(instance, scheduled_execution_time=time, resources={"platform": platform})
        )

    assert isinstance(at(10), SkipReason)
    detractor(ledger, now)
    request = tick(operations.new_answers)
    for _ in range(ATTEMPTS):
        record_run(instance, operations.FOLLOW_UP, request, DagsterRunStatus.FAILURE)
    assert isinstance(tick(operations.new_answers), SkipReason)
    assert isinstance(at(10), RunRequest)
    assert at(10).run_key != at(11).run_key


def test_events_for_a_webhook_start_one_run_that_tells_them(tick, instance, ledger, platform, now) -> None:
    from webhook_receiver import Receiver

    detractor(ledger, now)
    assert isinstance(tick(operations.news_for_others), SkipReason)  # nobody is to be told
    receiver = Receiver()
    endpoint = {"name": "crm", "url": receiver.url, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    told = platform.settings.model_copy(update={"webhooks": [Webhook.model_validate(endpoint)]})
    object.__setattr__(platform, "settings", told)

    def run(request: RunRequest) -> None:
        location = operations_location(platform)
        run_in_process(location, operations.WEBHOOKS, location="operations", instance=instance, tags=request.tags)

    run(tick(operations.news_for_others))  # the endpoint is new
    assert isinstance(tick(operations.news_for_others), SkipReason) and receiver.requests == []
    detractor(ledger, now, "bob")
    receiver.faults = [500]
    first = tick(operations.news_for_others)
    assert tick(operations.news_for_others).run_key == first.run_key
    run(first)
    assert isinstance(tick(operations.news_for_others), SkipReason)
    platform.clock.time = now + dt.timedelta(seconds=10)
    retry = tick(operations.news_for_others)
    assert retry.run_key != first.run_key
    run(retry)
    receiver.close()
    assert len(receiver.requests) == 2 and len(set(receiver.ids)) == 1
    assert isinstance(tick(operations.news_for_others), SkipReason)


@pytest.mark.parametrize("mail_works", [True, False])
def test_the_operator_is_told_of_an_endpoint_that_is_gone(tick, instance, ledger, platform, now, mail_works) -> None:
    from mail_server import MailServer
    from webhook_receiver import Receiver

    receiver, server = Receiver(), MailServer()
    endpoint = {"name": "crm", "url": receiver.url, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}
    over = {
        "webhooks": [Webhook.model_validate(endpoint)],
        "smtp_url": server.url if mail_works else "smtp://127.0.0.1:1",
    }
    object.__setattr__(platform, "settings", platform.settings.model_copy(update=over))
    enqueue(ledger, platform.settings.webhooks, now=now)
    detractor(ledger, now)
    receiver.always = 410
    request = tick(operations.news_for_others)
    location = operations_location(platform)
    run_in_process(location, operations.WEBHOOKS, location="operations", instance=instance, tags=request.tags)
    receiver.close()
    server.close()
    told = [recipients for _, recipients in server.envelopes]
    assert told == ([(platform.settings.operator_address,)] if mail_works else [])
    assert isinstance(tick(operations.news_for_others), SkipReason)


def test_the_hourly_schedule_tells_what_the_sensor_gave_up(tick, instance, platform, ledger, now) -> None:
    def at(hour: int):
        time = now.replace(hour=hour)
        return operations.hourly_webhooks(
            build_schedule_context(instance, scheduled_execution_time=time, resources={"platform": platform})
        )

    assert isinstance(at(10), SkipReason)
    programme = survey(workflows=[{"id": "low", "actions": [{"do": "chat", "channel": "alerts"}]}])
    [invitation] = plan(ledger, [candidate("ada", programme=programme)], now=now)
    with ledger.write() as conn:
        answers.record_answer(conn, invitation, 3, channel="email", judged="human", at=now, now=now)
    run_follow_up(ledger, platform.settings, (), now=now)
    request = tick(operations.news_for_others)
    for _ in range(ATTEMPTS):
        record_run(instance, operations.WEBHOOKS, request, DagsterRunStatus.FAILURE)
    assert isinstance(tick(operations.news_for_others), SkipReason)
    assert at(10).run_key != at(11).run_key


def test_new_exports_wait_until_they_are_written_and_are_taken_once(tick, instance, platform) -> None:
    export = platform.settings.exports_dir / "2026-03-01" / "Account.csv"
    export.parent.mkdir(parents=True)
    export.write_text("Id,Name\n001,Acme\n")
    assert "being written" in tick(warehouse.new_exports).skip_message
    os.utime(export, (1_700_000_000, 1_700_000_000))
    request = tick(warehouse.new_exports)
    assert isinstance(request, RunRequest)
    record_run(instance, operations.DISPATCH, request, DagsterRunStatus.SUCCESS)  # of another job: says nothing
    assert tick(warehouse.new_exports).run_key == request.run_key


def test_new_answers_are_gathered_and_then_built(tick, ledger, platform, now) -> None:
    publish(ledger, now=now)
    ours = platform.settings.surveys
    assert ours.is_dir()
    # The recorded publication knows other programmes: that alone asks for a build.
    changed = tick(warehouse.new_data)
    assert isinstance(changed, RunRequest)
    assert tick(warehouse.new_data).run_key == changed.run_key


def test_news_are_the_events_after_the_last_publication(ledger, now) -> None:
    from orchestration.common.waiting import news_for_the_marts

    assert news_for_the_marts(ledger) is None
    detractor(ledger, now)  # publishes at `now`
    assert news_for_the_marts(ledger) is None
    later = now + dt.timedelta(minutes=10)
    (invitation_id,) = plan(ledger, [candidate("bob")], now=now)
    with ledger.write() as conn:
        answers.record_answer(
            conn,
            invitation_id,
            9,
            comment="",
            answers={},
            channel="email",
            judged="human",
            visible_ms=5000,
            at=later,
            now=later,
        )
    found = news_for_the_marts(ledger)
    assert (found.count, found.oldest) == (1, later)
    assert news_for_the_marts(ledger).name == found.name
    suppress(ledger, ["0" * 64], "opted_out", now=later)
    assert news_for_the_marts(ledger).name == found.name  # lists alone are no news for the marts


def test_a_broken_programme_builds_nothing_and_says_why(tick, platform, tmp_path) -> None:
    surveys = tmp_path / "surveys"
    surveys.mkdir()
    (surveys / "broken.yml").write_text("id: [")
    object.__setattr__(platform, "settings", platform.settings.model_copy(update={"surveys": surveys}))
    assert "broken.yml" in tick(warehouse.new_data).skip_message
