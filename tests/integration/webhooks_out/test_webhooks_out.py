"""Outgoing webhooks over receivers that fail in every way: at least once, under one id, signed, and nobody waits for another."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import multiprocessing
import os
import re
import signal
import threading
from pathlib import Path

import pytest
from ledger_world import NOW, candidate, plan, survey
from postgres import new_database
from sqlalchemy import func, select, update
from webhook_receiver import Receiver

from closedloop.clock import Clock
from closedloop.errors import BadInput
from closedloop.ledger import Ledger, answers, followups, history
from closedloop.ledger.rows import add_events
from closedloop.ledger.schema import events, webhook_deliveries
from closedloop.ledger.webhooks import (
    Range,
    begin,
    due_deliveries,
    enqueue,
    forget_delivered,
    replay,
    resume,
    webhook_books,
)
from closedloop.settings import Settings
from closedloop.webhooks import Webhook
from dispatch.followup import run_follow_up
from dispatch.webhook_messages import headers_of
from dispatch.webhooks import WAITS, WebhookReport, send_ping, send_webhooks

KEY, OLD_KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_" + base64.b64encode(b"o" * 32).decode()
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
WORDS = "Zaphod waits for weeks"
ROOT = Path(__file__).resolve().parents[3]


def tell(ledger: Ledger, settings: Settings, at: dt.datetime = NOW, timeout: float = 5.0) -> WebhookReport:
    return send_webhooks(ledger, settings, clock=Clock.starting_at(at), timeout=timeout)


def answer(ledger: Ledger, invitation: str, score: int, at: dt.datetime = NOW, **over) -> None:
    with ledger.write() as conn:
        answers.record_answer(
            conn, invitation, score, **{"channel": "email", "judged": "human", "at": at, "now": at, **over}
        )


def answered(ledger: Ledger, *names: str, score: int = 9) -> list[str]:
    """Invitations of these people, each answered."""
    ids = plan(ledger, [candidate(name) for name in names])
    for invitation in ids:
        answer(ledger, invitation, score, comment=WORDS)
    return ids


def state(ledger: Ledger) -> list[tuple]:
    columns = (webhook_deliveries.c.state, webhook_deliveries.c.attempts, webhook_deliveries.c.last_error)
    with ledger.read() as conn:
        return [tuple(row) for row in conn.execute(select(*columns).order_by(webhook_deliveries.c.seq))]


def with_endpoints(settings: Settings, *more: dict, **over) -> Settings:
    """These settings with `over` in the first endpoint, and further endpoints."""
    first = settings.webhooks[0].model_copy(update=over)
    others = [Webhook.model_validate({"secret": KEY, **one}) for one in more]
    return settings.model_copy(update={"webhooks": [first, *others]})


@pytest.fixture
def known(ledger: Ledger, settings: Settings) -> Ledger:
    """A ledger that has seen its endpoint."""
    enqueue(ledger, settings.webhooks, now=NOW)
    return ledger


# What is told -----------------------------------------------------------------------
def test_the_life_of_an_answer_and_its_follow_up(known, settings, receiver: Receiver):
    [invitation] = plan(known, [candidate("ann")])
    answer(known, invitation, 9, comment=WORDS)
    answer(known, invitation, 3, NOW + HOUR, comment=WORDS, answers={"impact": WORDS})
    answer(known, invitation, 8, NOW + 3 * DAY)  # too late to count
    run_follow_up(known, settings, [survey()], now=NOW + HOUR)
    with known.write() as conn:
        about = {"at": NOW + 4 * DAY, "by": "Zaphod", "now": NOW + 4 * DAY}
        followups.first_contact(conn, invitation, note=WORDS, **about)
        followups.take_step(conn, invitation, "investigating", **about)
        followups.log_outcome(conn, invitation, "resolved", **about)
        followups.reopen(conn, invitation, why=WORDS, **about)
        someone = {"name": "Zaphod", "email": "zaphod@closedloop.example", "person_id": "U9"}
        followups.reassign(conn, invitation, by="Zaphod", now=NOW + 4 * DAY, **someone)
        answers.unsubscribe(conn, invitation, at=NOW + 4 * DAY, now=NOW + 4 * DAY)
        answers.void(conn, invitation, by="Zaphod", why=WORDS, at=NOW + 4 * DAY, now=NOW + 4 * DAY)
    report = tell(known, settings, NOW + 4 * DAY)
    told = receiver.events
    assert [one["type"] for one in told] == [
        *("response.created", "response.changed", "followup.opened", "followup.contacted", "followup.step"),
        *("followup.closed", "followup.reopened", "followup.assigned", "unsubscribed", "response.voided"),
    ] and report.delivered == len(told)
    assert all(set(one) == {"specversion", "id", "source", "type", "time", "data"} for one in told)
    assert "zaphod" not in str(told).lower(), "nobody's words and no colleague's name by default"
    created, changed, opened = (one["data"] for one in told[:3])
    assert created["invitation_id"] == invitation and created["survey_id"] == "post-close"
    assert (created["score"], created["category"], created["has_comment"]) == (9, "promoter", True)
    assert (changed["score"], changed["category"], changed["version"]) == (3, "detractor", 2)
    assert opened["score"] == 3 and opened["due_at"] and told[7]["data"]["assignee_id"] == "U9"
    assert told[5]["data"]["outcome"] == "resolved" and told[4]["data"]["step"] == "investigating"
    assert told[0]["time"] == NOW.isoformat()
    assert tell(known, settings, NOW + 4 * DAY) == WebhookReport()


def test_personal_data_only_for_who_is_to_have_it(known, settings, receiver: Receiver):
    open_ = with_endpoints(settings, include_personal=True)
    [invitation] = plan(known, [candidate("ann")])
    answer(known, invitation, 3, comment=WORDS, answers={"impact": "price"})
    tell(known, open_)
    [told] = receiver.events
    assert (told["data"]["comment"], told["data"]["answers"]) == (WORDS, {"impact": "price"})


def test_a_body_has_an_end(known, settings, receiver: Receiver):
    open_ = with_endpoints(settings, include_personal=True)
    [invitation] = plan(known, [candidate("ann")])
    answer(known, invitation, 3, comment="w" * 5_000, answers={f"q{n}": "w" * 5_000 for n in range(30)})
    tell(known, open_)
    [(_, _, body)] = receiver.requests
    assert len(body) < 64 * 1024 and json.loads(body)["data"]["shortened"] is True


def test_an_endpoint_gets_only_what_it_wants(known, settings, receiver: Receiver, other: Receiver):
    some = with_endpoints(settings, {"name": "warehouse", "url": other.url}, events=("followup", "response.voided"))
    enqueue(known, some.webhooks, now=NOW)
    answered(known, "ann", score=3)
    run_follow_up(known, some, [survey()], now=NOW)
    tell(known, some)
    assert [one["type"] for one in receiver.events] == ["followup.opened"]
    assert [one["type"] for one in other.events] == ["response.created", "followup.opened"]


def test_actions_are_told_of_when_they_end(known, settings, receiver: Receiver):
    from closedloop.ledger import actions

    answered(known, "ann", score=3)
    run_follow_up(known, settings, [survey()], now=NOW)
    for row in actions.begin(known, ["crm"], now=NOW)[1]:
        ending = "done" if row["action"] == "detractor.task" else "failed"
        actions.finish(known, [actions.Result((row["invitation_id"], row["action"]), ending, "why")], now=NOW)
    tell(known, with_endpoints(settings, events=("action",)))
    told = {(one["type"], one["data"]["action"]) for one in receiver.events}
    assert ("action.done", "detractor.task") in told and ("action.failed", "detractor.case") in told
    assert not [one for one in told if one[0] not in ("action.done", "action.failed")]


# A new endpoint, and again ----------------------------------------------------------
def test_a_new_endpoint_begins_with_what_comes_and_gets_the_past_on_request(
    ledger, settings, receiver: Receiver, other: Receiver
):
    ids = answered(ledger, "ann", "bob")
    tell(ledger, settings)
    assert receiver.requests == [], "what was before is not told"
    answered(ledger, "cyd")
    both = with_endpoints(settings, {"name": "new", "url": other.url})
    tell(ledger, both)
    assert (len(receiver.requests), len(other.requests)) == (1, 0)
    answered(ledger, "dan")
    tell(ledger, both)
    assert (len(receiver.requests), len(other.requests)) == (2, 1)
    assert receiver.ids[1] == other.ids[0]
    assert replay(ledger, both.webhooks[1], Range(1), now=NOW) == 4
    tell(ledger, both)
    assert len(other.requests) == 5 and len(set(other.ids)) == 4, "again under its id"
    assert [one["data"]["invitation_id"] for one in other.events[1:3]] == ids


def test_replay_of_a_part(known, settings, receiver: Receiver):
    [ann] = answered(known, "ann")
    answer(known, ann, 10, NOW + HOUR)
    answer(known, ann, 9, NOW + 2 * HOUR)
    tell(known, settings, NOW + 2 * HOUR)
    [endpoint] = settings.webhooks
    assert replay(known, endpoint, Range(NOW + MINUTE, NOW + HOUR), now=NOW + 3 * HOUR) == 1
    assert replay(known, endpoint, Range(NOW, NOW + HOUR), now=NOW + 3 * HOUR) == 1, "what waits already waits"
    assert replay(known, endpoint, Range(NOW), now=NOW + 3 * HOUR, only_failed=True) == 0
    tell(known, settings, NOW + 3 * HOUR)
    assert [one["data"]["score"] for one in receiver.events] == [9, 10, 9, 9, 10]
    assert len(set(receiver.ids)) == 3
    with pytest.raises(BadInput, match="webhooks list"):
        replay(known, endpoint.model_copy(update={"name": "other"}), Range(1), now=NOW)


def test_what_was_asked_for_again_before_it_was_looked_at_is_told_once(known, settings, receiver: Receiver):
    answered(known, "ann")
    assert replay(known, settings.webhooks[0], Range(1), now=NOW) == 1
    tell(known, settings)
    assert len(receiver.requests) == 1


def test_history_is_told_to_nobody(known, settings, receiver: Receiver):
    row = {**candidate("ann"), "state": "sent", "state_at": NOW}
    evaluation = {"as_of": NOW, "sealed_at": NOW, "definitions_hash": "old"}
    history.write_round(known, evaluation=evaluation, decisions=[row], messages=[row])
    ids = {name: row[name] for name in ("invitation_id", "survey_id", "contact_id", "account_id")}
    history.write_answers(known, [{**ids, "score": 2, "submitted_at": NOW + HOUR, "followed_up": True}])
    assert tell(known, settings, NOW + DAY) == WebhookReport()


# Faults -----------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (500, "it answers 500"),
        (400, "it answers 400"),
        (429, "it answers 429"),
        ("cut", "no answer (RemoteDisconnected)"),
        ("slow", "no answer within 0.5 seconds"),
        ("drip", "no answer within 0.5 seconds"),
        (302, "it answers 302: redirects are not followed"),
    ],
)
def test_whatever_is_no_2xx_is_tried_again_under_the_same_id(
    known, settings, receiver: Receiver, other: Receiver, fault, error
):
    receiver.faults, receiver.headers = [fault], {"Location": other.url}
    answered(known, "ann")
    assert tell(known, settings, timeout=0.5).waiting == 1
    assert state(known) == [("waiting", 1, error)]
    assert tell(known, settings, timeout=0.5) == WebhookReport(), "not at once"
    assert tell(known, settings, NOW + MINUTE).delivered == 1
    assert receiver.ids[0] == receiver.ids[1] and other.requests == []
    assert state(known) == [("delivered", 2, None)]


def test_ten_attempts_in_three_days_and_then_it_has_failed_but_is_not_lost(known, settings, receiver: Receiver):
    receiver.always = 500
    answered(known, "ann")
    at, times = NOW, []
    while state(known)[:1] != [("failed", 10, "it answers 500")]:
        tell(known, settings, at)
        if len(receiver.requests) > len(times):
            times.append(at - NOW)
        at += MINUTE if at - NOW < HOUR else HOUR / 2
        assert at - NOW < 5 * DAY
    assert len(times) == 1 + len(WAITS) and 3 * DAY < times[-1] < 4 * DAY
    assert len(set(receiver.ids)) == 1
    receiver.always = 204
    resume(known, "crm")
    assert replay(known, settings.webhooks[0], Range(1), now=at, only_failed=True) == 1
    assert tell(known, settings, at).delivered == 1


def test_an_event_that_cannot_be_written_holds_up_no_other(known, settings, receiver: Receiver):
    about = {"kind": "answered", "survey_id": "post-close", "occurred_at": NOW, "recorded_at": NOW}
    with known.write() as conn:
        add_events(conn, [{**about, "payload": {"score": score}} for score in ("eleven", 10)])
    report = tell(known, settings)
    assert (report.delivered, report.failed) == (1, 1)
    assert state(known)[0][2].startswith("the event cannot be written")


def test_who_is_gone_is_switched_off_until_somebody_switches_it_on(known, settings, receiver: Receiver):
    receiver.faults = [410]
    answered(known, "ann", "bob")
    assert tell(known, settings).switched_off == ["crm"]
    answered(known, "cyd")
    assert tell(known, settings, NOW + DAY) == WebhookReport() and len(receiver.requests) == 1
    [book] = webhook_books(known)
    assert book["switched_off_at"] and (book["waiting"], book["last_error"]) == (2, "it answers 410")
    resume(known, "crm")
    assert tell(known, settings, NOW + DAY).delivered == 2
    assert replay(known, settings.webhooks[0], Range(1), now=NOW + DAY) == 3, "what happened meanwhile comes on request"


def test_a_dead_endpoint_rests_and_uses_up_no_attempts_and_another_has_all_at_once(
    known, settings, receiver: Receiver, other: Receiver
):
    both = with_endpoints(settings, {"name": "fine", "url": other.url})
    enqueue(known, both.webhooks, now=NOW)
    receiver.always = "cut"
    answered(known, *(f"p{number}" for number in range(12)))
    report = tell(known, both)
    assert (report.delivered, report.waiting) == (12, 5) and len(other.requests) == 12
    assert tell(known, both, NOW + 30 * MINUTE / 60).waiting == 0
    assert tell(known, both, NOW + 2 * MINUTE).waiting == 1, "one attempt, then a longer rest"
    assert not due_deliveries(known, ["crm", "fine"], now=NOW + 3 * MINUTE, limit=10)
    receiver.always = 200
    assert tell(known, both, NOW + HOUR).delivered == 12
    assert sorted(set(receiver.ids)) == sorted(other.ids)


def test_who_asks_for_a_rest_gets_it(known, settings, receiver: Receiver):
    receiver.faults, receiver.headers = [429], {"Retry-After": "600"}
    answered(known, "ann", "bob")
    tell(known, settings)
    assert len(receiver.requests) == 1
    assert tell(known, settings, NOW + 9 * MINUTE) == WebhookReport()
    assert tell(known, settings, NOW + 11 * MINUTE).delivered == 2


def test_no_error_and_no_book_holds_an_address(known, settings, receiver: Receiver, capfd):
    receiver.always = 500
    answered(known, "ann")
    report = tell(known, settings)
    said = f"{report} {webhook_books(known)} {settings!r} {capfd.readouterr()}"
    assert "a-secret" not in said and "MfKQ9" not in said


# Nothing lost, nothing doubled ------------------------------------------------------
def _send_and_die(settings: Settings, ready) -> None:
    ready.wait(10)
    with Ledger.open(settings) as ledger:
        tell(ledger, settings)


@pytest.mark.slow
def test_killed_after_the_request_and_before_the_result_it_is_sent_again_under_the_same_id(
    known, settings, receiver: Receiver
):
    answered(known, "ann", "bob")
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    known.close()  # no connection may be shared with the child
    process = context.Process(target=_send_and_die, args=(settings, ready))
    process.start()
    receiver.on = lambda: os.kill(process.pid, signal.SIGKILL)
    ready.set()
    process.join(20)
    assert process.exitcode == -signal.SIGKILL
    receiver.on = lambda: None
    with Ledger.open(settings) as ledger:
        assert [row[0] for row in state(ledger)] == ["attempted", "waiting"], "on disk before the request"
        assert tell(ledger, settings, NOW + MINUTE / 2).delivered == 1, "the other; the first may still be under way"
        assert tell(ledger, settings, NOW + 3 * MINUTE).delivered == 1
    first, second, again = receiver.ids
    assert first == again != second and receiver.events[0] == receiver.events[2]


def test_two_runs_at_once_send_nothing_twice(known, settings, receiver: Receiver):
    answered(known, *(f"p{number}" for number in range(20)))
    threads = [threading.Thread(target=tell, args=(known, settings)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(receiver.ids) == len(set(receiver.ids)) == 20


@pytest.mark.postgres
def test_a_number_that_becomes_visible_late_is_told_once(postgres_server: str, tmp_path: Path, receiver: Receiver):
    """Two writers on PostgreSQL: the lower number commits after the higher one was told."""
    endpoint = {"name": "crm", "url": receiver.url, "secret": KEY}
    settings = Settings(home=tmp_path, ledger_url=new_database(postgres_server), webhooks=[endpoint], _env_file=None)
    with Ledger.open(settings) as ledger:
        enqueue(ledger, settings.webhooks, now=NOW)
        ann, bob = plan(ledger, [candidate("ann"), candidate("bob")])
        inserted, go_on = threading.Event(), threading.Event()

        def slow_writer() -> None:
            with ledger.write() as conn:
                answers.record_answer(conn, ann, 9, channel="email", judged="human", at=NOW, now=NOW)
                inserted.set()
                go_on.wait(10)

        thread = threading.Thread(target=slow_writer)
        thread.start()
        inserted.wait(10)
        answer(ledger, bob, 2)
        assert tell(ledger, settings).delivered == 1
        go_on.set()
        thread.join(10)
        assert tell(ledger, settings).delivered == 1
        assert [one["data"]["invitation_id"] for one in receiver.events] == [bob, ann]
        with ledger.read() as conn:
            kept = select(events.c.invitation_id).where(events.c.kind == "answered").order_by(events.c.seq)
            assert list(conn.scalars(kept)) == [ann, bob]
            assert conn.scalar(select(func.count()).where(events.c.for_webhooks.is_not(None))) == 0


def test_writers_the_export_and_two_runs_at_once_lose_and_double_nothing(known, settings):
    """Nobody waits for the other in a circle, though the export marks the same rows."""
    about = {"kind": "unsubscribed", "survey_id": "post-close", "occurred_at": NOW, "recorded_at": NOW}
    writing, failures = threading.Event(), []

    def repeated(work) -> None:
        try:
            while not writing.is_set():
                work()
        except Exception as error:
            failures.append(error)

    def stamp() -> None:
        with known.write() as conn:
            last = select(events.c.seq).order_by(events.c.seq.desc()).limit(40)
            conn.execute(update(events).where(events.c.seq.in_(last)).values(export_batch=1))

    def write() -> None:
        for _ in range(30):
            with known.write() as conn:
                add_events(conn, [about] * 5)

    helpers = [lambda: enqueue(known, settings.webhooks, now=NOW)] * 2 + [stamp]
    threads = [threading.Thread(target=repeated, args=(work,)) for work in helpers]
    writers = [threading.Thread(target=write) for _ in range(2)]
    for thread in (*threads, *writers):
        thread.start()
    for thread in writers:
        thread.join(60)
    writing.set()
    for thread in threads:
        thread.join(60)
    assert failures == []
    enqueue(known, settings.webhooks, now=NOW)
    with known.read() as conn:
        counted = select(func.count(), func.count(webhook_deliveries.c.seq.distinct()))
        assert tuple(conn.execute(counted).one()) == (300, 300)


def test_what_was_delivered_long_ago_leaves_the_book_and_is_not_sent_again(known, settings, receiver: Receiver):
    answered(known, "ann")
    tell(known, settings)
    receiver.always = 500
    answered(known, "bob")
    tell(known, settings, NOW + DAY)
    assert forget_delivered(known, before=NOW) == 0
    assert forget_delivered(known, before=NOW + 100 * DAY) == 1
    assert [row[0] for row in state(known)] == ["waiting"] and enqueue(known, settings.webhooks, now=NOW) == 0
    assert replay(known, settings.webhooks[0], Range(1), now=NOW) == 1, "it can still be asked for"


def test_what_another_process_attempts_is_not_taken(known, settings):
    answered(known, "ann")
    enqueue(known, settings.webhooks, now=NOW)
    assert begin(known, "crm", now=NOW) is not None
    assert begin(known, "crm", now=NOW + MINUTE) is None
    assert begin(known, "crm", now=NOW + 3 * MINUTE).attempts == 2


# The signature ----------------------------------------------------------------------
def verified(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """The specification, written down once more."""
    key = base64.b64decode(secret.partition("_")[2])
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    mine = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    versions = [one.split(",", 1) for one in headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(given, mine) for version, given in versions)


def test_every_request_is_signed_at_its_real_time_also_while_a_key_changes(known, settings, receiver: Receiver):
    answered(known, "ann")
    tell(known, with_endpoints(settings, secret=f"{KEY} {OLD_KEY}"))
    send_ping(settings.webhooks[0], clock=Clock.starting_at(NOW))
    (_, headers, body), (_, ping, ping_body) = receiver.requests
    assert verified(KEY, headers, body) and verified(OLD_KEY, headers, body)
    assert verified(KEY, ping, ping_body) and not verified(OLD_KEY, ping, ping_body)
    assert not verified(KEY, headers, body + b" ") and json.loads(ping_body)["type"] == "ping"
    assert abs(int(headers["webhook-timestamp"]) - dt.datetime.now(dt.UTC).timestamp()) < 60
    assert headers["webhook-id"] == json.loads(body)["id"] and "." not in headers["webhook-id"]


def test_the_signature_that_other_implementations_make():
    """A published example of the scheme."""
    at = dt.datetime.fromtimestamp(1614265330, dt.UTC)
    made = headers_of("msg_p5jXN8AQM9LWM0D4loKWxJek", b'{"test": 2432232314}', KEY, wall_now=at)
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_receivers_code_in_the_documents_works(known, settings, receiver: Receiver):
    page = (ROOT / "docs/webhooks-out.md").read_text()
    code = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    names: dict = {}
    exec(code, names)
    answered(known, "ann")
    tell(known, settings)
    [(_, headers, body)] = receiver.requests
    assert names["is_authentic"](KEY, headers, body)
    assert not names["is_authentic"](OLD_KEY, headers, body)
    assert not names["is_authentic"](KEY, {**headers, "webhook-timestamp": "1614265330"}, body)
