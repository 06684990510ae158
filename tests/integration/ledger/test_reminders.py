"""Reminders: who gets one and when, who never, and that each is planned once."""

from __future__ import annotations

import datetime as dt

import pytest
from ledger_world import NOW, candidate, plan, survey
from paper_sender import Sender
from sqlalchemy import select, text, update

from closedloop.ledger import Ledger, answers, delivery, lists, planning
from closedloop.ledger.books import books, reminder_books
from closedloop.ledger.reminders import due_reminders, plan_reminders
from closedloop.ledger.rows import add_events, event
from closedloop.ledger.schema import events, messages
from closedloop.settings import Settings

DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
REMINDING = survey(reminders={"after_days": [3, 7]})


@pytest.fixture
def sender(ledger: Ledger, settings: Settings) -> Sender:
    return Sender(ledger, settings, REMINDING)


def _send(sender: Sender, *names: str, **over) -> list[dict]:
    """Invitations that are sent now."""
    rows = [candidate(name, programme=REMINDING, **over) for name in names]
    plan(sender.ledger, rows)
    assert sender.send() == len(names)
    return rows


def _reminders(ledger: Ledger) -> list[tuple[str, int, str]]:
    found = select(messages.c.contact_id, messages.c.sequence, messages.c.state).where(messages.c.kind == "reminder")
    with ledger.read() as conn:
        return sorted(conn.execute(found).tuples().all())


def test_each_is_planned_once_on_its_day(sender: Sender):
    [ann] = _send(sender, "ann")
    ledger, surveys = sender.ledger, [REMINDING]
    assert plan_reminders(ledger, surveys, now=NOW + 3 * DAY - HOUR) == 0
    assert len(due_reminders(ledger, surveys, now=NOW + 3 * DAY)) == 1
    assert plan_reminders(ledger, surveys, now=NOW + 3 * DAY) == 1
    assert plan_reminders(ledger, surveys, now=NOW + 3 * DAY) == 0
    assert due_reminders(ledger, surveys, now=NOW + 3 * DAY) == []
    assert sender.send(NOW + 3 * DAY) == 1
    assert plan_reminders(ledger, surveys, now=NOW + 7 * DAY - HOUR) == 0
    assert plan_reminders(ledger, surveys, now=NOW + 7 * DAY) == 1
    assert sender.send(NOW + 7 * DAY) == 1
    for days in range(8, 60):
        assert plan_reminders(ledger, surveys, now=NOW + days * DAY) == 0
    assert _reminders(ledger) == [("ann", 1, "sent"), ("ann", 2, "sent")]
    with ledger.read() as conn:
        found = conn.execute(select(messages).where(messages.c.kind == "reminder").order_by(messages.c.sequence)).all()
        first = conn.execute(select(messages).where(messages.c.kind == "invitation")).one()
        said = conn.execute(select(events.c.message_id, events.c.invitation_id, events.c.payload)).all()
    assert len({row.message_id for row in (first, *found)}) == 3
    assert {(row.invitation_id, row.payload, row.wave_id, row.cooldown_days) for row in found} == {
        (ann["message_id"], first.payload, first.wave_id, 0)
    }
    assert [row.expires_at for row in found] == [NOW + 7 * DAY, NOW + 14 * DAY]  # the next one's day, or a week
    assert [row.invitation_id for row in said] == [ann["message_id"]] * 3
    assert ['"message_kind":"reminder"' in row.payload for row in said] == [False, True, True]


def test_many_are_planned_in_chunks(sender: Sender):
    _send(sender, *(f"p{number}" for number in range(7)))
    assert plan_reminders(sender.ledger, [REMINDING], now=NOW + 3 * DAY, chunk=3) == 7
    assert plan_reminders(sender.ledger, [REMINDING], now=NOW + 3 * DAY, chunk=3) == 0


@pytest.mark.parametrize(
    ("days", "planned"),
    [(2, []), (6, [1]), (8, [2]), (13, [2]), (14, []), (40, [])],
)
def test_after_days_without_the_platform_only_the_newest_comes(sender: Sender, days: int, planned: list[int]):
    _send(sender, "ann")
    plan_reminders(sender.ledger, [REMINDING], now=NOW + days * DAY)
    plan_reminders(sender.ledger, [REMINDING], now=NOW + days * DAY + HOUR)
    assert [sequence for _, sequence, _ in _reminders(sender.ledger)] == planned


@pytest.mark.parametrize("state", ["pending", "claimed", "handed", "rejected", "uncertain"])
def test_only_what_was_sent_is_reminded_of(sender: Sender, state: str):
    plan(sender.ledger, [candidate("ann", programme=REMINDING)])
    if state != "pending":
        assert sender.send(state=state) == 1
    assert plan_reminders(sender.ledger, [REMINDING], now=NOW + 3 * DAY) == 0


def test_what_is_staged_and_not_sealed_is_not_reminded_of(ledger: Ledger):
    row = candidate("ann", programme=REMINDING, state="sent", state_at=NOW)
    planning.stage(ledger, "not sealed", [row], [row])
    assert plan_reminders(ledger, [REMINDING], now=NOW + 3 * DAY) == 0


@pytest.mark.parametrize(
    "programme",
    [
        survey(reminders={"after_days": [3, 7]}, status="paused"),
        survey(reminders={"after_days": [3, 7]}, status="draft"),
        survey(),
        survey(id="another", reminders={"after_days": [3, 7]}),
    ],
    ids=["paused", "draft", "no_reminders_any_more", "removed"],
)
def test_a_survey_that_does_not_remind(sender: Sender, programme):
    _send(sender, "ann")
    assert plan_reminders(sender.ledger, [programme], now=NOW + 3 * DAY) == 0


def test_who_is_never_reminded(sender: Sender):
    names = ("answered", "voided", "left", "nameless", "complained", "bounced", "contact", "account", "link", "fine")
    over = {
        "account": {"account_id": "blocked"},
        "link": {"link_expires_at": NOW + 3 * DAY},
        "nameless": {"person_key": None},
    }
    rows = {name: candidate(name, programme=REMINDING, **over.get(name, {})) for name in names}
    softly = candidate("softly", programme=REMINDING)
    ended = candidate("ended", programme=REMINDING)
    ledger = sender.ledger
    plan(ledger, [*rows.values(), softly, ended])
    assert sender.send() == len(names) + 2
    at = NOW + DAY
    with ledger.write() as conn:
        for name in ("answered", "voided"):
            answers.record_answer(conn, rows[name]["message_id"], 9, channel="email", judged="human", at=at, now=at)
        answers.void(conn, rows["voided"]["message_id"], by="Olga", why="a test", at=at, now=at)
        for name in ("left", "nameless"):
            answers.unsubscribe(conn, rows[name]["message_id"], at=at, now=at)
        bounce = {"at": at, "now": at, "message_kind": "invitation"}
        add_events(conn, [event("bounced", rows["bounced"], hard=True, **bounce)])
        add_events(conn, [event("bounced", softly, hard=False, **bounce)])
        add_events(conn, [event("bounced", rows["fine"], hard=True, **{**bounce, "message_kind": "alert"})])
    lists.suppress(ledger, [rows["complained"]["person_key"]], "complained", now=at)
    entry = {"reason": "asked us not to", "author": "Olga", "now": at}
    lists.exclude_add(ledger, "contact", "contact", **entry)
    lists.exclude_add(ledger, "account", "blocked", **entry)
    lists.exclude_add(ledger, "contact", "ended", until=at + DAY, **entry)

    assert plan_reminders(ledger, [REMINDING], now=NOW + 3 * DAY) == 3
    assert [name for name, _, _ in _reminders(ledger)] == ["ended", "fine", "softly"]


def test_what_happens_between_planning_and_hand_over_is_respected(sender: Sender):
    rows = _send(sender, "answered", "left", "listed", "fine")
    ledger, later = sender.ledger, NOW + 3 * DAY
    assert plan_reminders(ledger, [REMINDING], now=later) == 4
    with ledger.write() as conn:
        answers.record_answer(conn, rows[0]["message_id"], 3, channel="email", judged="human", at=later, now=later)
        answers.unsubscribe(conn, rows[1]["message_id"], at=later, now=later)
    lists.exclude_add(ledger, "contact", "listed", reason="asked us not to", author="Olga", now=later)
    assert sender.claim(later) == (["fine"], {}, {"answered": 1, "suppressed": 1, "excluded": 1})
    book = reminder_books(ledger)
    assert (book.planned, book.pending, book.suppressed, book.balanced) == (4, 1, 3, True)
    assert [(wave.planned, wave.sent, wave.balanced) for wave in books(ledger)] == [(4, 4, True)]


def test_who_answers_after_the_claim_gets_no_reminder(sender: Sender):
    [ann, _] = _send(sender, "ann", "bob")
    ledger, later = sender.ledger, NOW + 3 * DAY
    plan_reminders(ledger, [REMINDING], now=later)
    assert sender.claim(later)[0] == ["ann", "bob"]
    with ledger.write() as conn:
        answers.record_answer(conn, ann["message_id"], 9, channel="email", judged="human", at=later, now=later)
        claimed = list(conn.scalars(select(messages.c.message_id).where(messages.c.state == "claimed")))
    closed: dict[str, int] = {}
    assert len(delivery.hand_over(ledger, claimed, owner="me", now=later, suppressed=closed)) == 1
    assert closed == {"answered": 1}
    assert _reminders(ledger) == [("ann", 1, "suppressed"), ("bob", 1, "handed")]


def test_a_pause_holds_what_is_planned_until_its_day_is_over(ledger: Ledger, settings: Settings, sender: Sender):
    _send(sender, "ann")
    plan_reminders(ledger, [REMINDING], now=NOW + 3 * DAY)
    paused = Sender(ledger, settings, survey(status="paused", reminders={"after_days": [3, 7]}))
    assert paused.claim(NOW + 4 * DAY) == ([], {"survey paused": 1}, {})
    assert paused.claim(NOW + 7 * DAY) == ([], {}, {"expired": 1})


def test_a_reminder_is_no_question_for_cooldown_or_cap(ledger: Ledger, settings: Settings):
    programme = survey(cooldown={"days": 2}, account_cap={"invitations": 1, "days": 2}, reminders={"after_days": [3]})
    sender = Sender(ledger, settings, programme)
    plan(ledger, [candidate("ann", programme=programme)])
    sender.send()
    later = NOW + 3 * DAY
    plan_reminders(ledger, [programme], now=later)
    assert sender.send(later) == 1
    again = candidate("ann", programme=programme, now=later)
    plan(ledger, [{**again, **dict.fromkeys(("message_id", "candidate_id", "invitation_id"), "second")}], now=later)
    assert sender.claim(later) == (["ann"], {}, {})


def test_two_that_waited_for_business_hours_do_not_come_on_one_day(ledger: Ledger, settings: Settings):
    programme = survey(
        reminders={"after_days": [3, 5]}, business_hours={"opens": "09:00", "closes": "17:00", "time_zone": "UTC"}
    )
    sender = Sender(ledger, settings, programme)
    wednesday = NOW + 2 * DAY
    plan(ledger, [candidate("ann", programme=programme, now=wednesday)], now=wednesday)
    assert sender.send(wednesday + HOUR) == 1
    due = wednesday + 3 * DAY + HOUR  # a Saturday
    assert plan_reminders(ledger, [programme], now=due) == 1
    assert sender.claim(due) == ([], {"outside business hours": 1}, {})
    monday = wednesday + 5 * DAY
    assert sender.send(monday) == 1
    assert plan_reminders(ledger, [programme], now=monday + HOUR) == 0
    assert plan_reminders(ledger, [programme], now=monday + DAY) == 1


def test_days_that_were_changed_do_not_make_two_at_once(sender: Sender):
    _send(sender, "ann")
    ledger = sender.ledger
    plan_reminders(ledger, [REMINDING], now=NOW + 3 * DAY)
    sooner = survey(reminders={"after_days": [3, 4]})
    assert plan_reminders(ledger, [sooner], now=NOW + 4 * DAY) == 0  # the first one is still to be sent
    assert sender.send(NOW + 4 * DAY) == 1
    assert plan_reminders(ledger, [sooner], now=NOW + 5 * DAY) == 1


def test_the_reminder_of_an_invitation_is_withdrawn_by_its_id(sender: Sender):
    _send(sender, "ann")
    plan_reminders(sender.ledger, [REMINDING], now=NOW + 3 * DAY)
    reasons = {candidate("ann")["invitation_id"]: "contact_gone"}
    assert planning.withdraw(sender.ledger, reasons, now=NOW + 3 * DAY) == 1
    assert _reminders(sender.ledger) == [("ann", 1, "suppressed")]
    assert plan_reminders(sender.ledger, [REMINDING], now=NOW + 3 * DAY) == 0


def test_on_sqlite_an_index_finds_the_day(ledger: Ledger):
    if ledger.engine.dialect.name != "sqlite":
        return
    from closedloop.ledger.reminders import _due, _steps

    [step, _] = _steps([REMINDING])
    query = _due(step, NOW).compile(ledger.engine, compile_kwargs={"literal_binds": True})
    with ledger.read() as conn:
        plan_ = "\n".join(row[3] for row in conn.execute(text(f"EXPLAIN QUERY PLAN {query}".replace(":", r"\:"))))
    assert "ix_messages_when (state=? AND kind=? AND survey_id=? AND state_at>? AND state_at<?)" in plan_
    assert "SCAN" not in plan_


def test_an_older_reminder_that_was_uncertain_is_not_sent_again(sender: Sender):
    _send(sender, "ann")
    plan_reminders(sender.ledger, [REMINDING], now=NOW + 3 * DAY)
    assert sender.send(NOW + 3 * DAY, state="uncertain") == 1
    assert plan_reminders(sender.ledger, [REMINDING], now=NOW + 4 * DAY) == 0
    with sender.ledger.write() as conn:  # however many runs ask
        conn.execute(update(messages).where(messages.c.kind == "reminder").values(state="rejected"))
    assert plan_reminders(sender.ledger, [REMINDING], now=NOW + 4 * DAY) == 0
    assert reminder_books(sender.ledger).rejected == 1
