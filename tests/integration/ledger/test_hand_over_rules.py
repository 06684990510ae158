"""Families, account caps and business hours, looked at in the claiming transaction."""

from __future__ import annotations

import datetime as dt

import pytest
from ledger_world import NOW, candidate, plan, survey
from paper_sender import Sender
from sqlalchemy import update

from closedloop.ledger import Ledger, lists
from closedloop.ledger.books import books
from closedloop.ledger.schema import messages
from closedloop.settings import Settings

DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
OUTSIDE = "outside business hours"
OFFICE = {"opens": "09:00", "closes": "17:00", "time_zone": "UTC"}


FIRST = survey(id="support", family="service")


@pytest.mark.parametrize(
    ("family", "scope", "stops"),
    [
        ("service", "family", True),
        ("sales", "family", False),
        ("service", "survey", False),
        ("sales", "global", True),
        (None, "global", True),
    ],
)
def test_a_cooldown_counts_the_surveys_of_its_scope(ledger: Ledger, settings: Settings, family, scope, stops):
    second = survey(family=family, cooldown={"days": 30, "scope": scope})
    sender = Sender(ledger, settings, FIRST, second)
    plan(ledger, [candidate("ann", programme=FIRST, now=NOW - DAY)], now=NOW - DAY)
    assert sender.send(NOW - DAY) == 1
    plan(ledger, [candidate("ann", programme=second)])
    assert sender.claim() == (([], {}, {"cooldown": 1}) if stops else (["ann"], {}, {}))


def test_in_a_family_ones_own_survey_counts_and_one_that_is_gone_does_not(ledger: Ledger, settings: Settings):
    programme = survey(family="sales", cooldown={"days": 30, "scope": "family"})
    gone = survey(id="gone", family="sales")
    plan(ledger, [candidate("ann", programme=gone, now=NOW - 2 * DAY)], now=NOW - 2 * DAY)
    assert Sender(ledger, settings, gone).send(NOW - 2 * DAY) == 1
    sender = Sender(ledger, settings, programme)
    plan(ledger, [candidate("ann", programme=programme, now=NOW - DAY)], now=NOW - DAY)
    assert sender.send(NOW - DAY) == 1
    again = candidate("ann", programme=programme)
    plan(ledger, [{**again, **dict.fromkeys(("message_id", "candidate_id", "invitation_id"), "second")}])
    assert sender.claim() == ([], {}, {"cooldown": 1})


CAPPED = survey(account_cap={"invitations": 2, "days": 7})


@pytest.mark.parametrize(
    ("state", "days", "room"),
    [
        ("sent", 1, 1),
        ("sent", 6, 1),
        ("sent", 7, 2),
        ("uncertain", 1, 1),
        ("handed", 0, 1),
        ("claimed", 0, 1),
        ("rejected", 1, 2),
    ],
)
def test_an_account_gets_no_more_than_its_cap_by_any_survey(ledger: Ledger, settings, state, days, room):
    sender = Sender(ledger, settings, FIRST, CAPPED)
    before = (NOW - days * DAY).replace(hour=1)
    plan(ledger, [candidate("zoe", programme=FIRST, now=before)], now=before)
    assert sender.send(before, state) == 1
    names = ("ann", "bob", "cyd")
    rows = [candidate(name, programme=CAPPED) for name in names]
    elsewhere = candidate("dan", programme=CAPPED, account_id="other")
    alone = candidate("eve", programme=CAPPED, account_id=None)
    plan(ledger, [*rows, elsewhere, alone])
    taken, held, closed = sender.claim(limit=2)
    assert len([name for name in taken if name in names]) == room
    assert {"dan", "eve"} <= set(taken)
    assert (held, closed) == ({}, {"account_cap": 3 - room})
    assert all(wave.balanced for wave in books(ledger))


def test_outside_its_recipients_business_hours_a_message_waits_for_them(ledger: Ledger, settings: Settings):
    programme = survey(business_hours=OFFICE)  # now is Monday, 09:00 UTC
    sender = Sender(ledger, settings, programme)
    zones = {"ann": "UTC", "bob": "America/New_York", "cyd": "Asia/Tokyo", "dan": "", "eve": None, "fay": "nowhere"}
    plan(ledger, [candidate(name, programme=programme, payload={"time_zone": zone}) for name, zone in zones.items()])
    assert sender.claim(limit=2) == (["ann", "dan", "eve", "fay"], {OUTSIDE: 2}, {})
    # Every run says how many wait, and takes them when it is their time.
    assert sender.claim(NOW + HOUR) == ([], {OUTSIDE: 2}, {})
    assert sender.claim(NOW + 5 * HOUR) == (["bob"], {OUTSIDE: 1}, {})
    assert sender.claim(NOW + 14 * HOUR) == ([], {OUTSIDE: 1}, {})
    assert sender.claim(NOW + 15 * HOUR) == (["cyd"], {}, {})
    [wave] = books(ledger)
    assert (wave.planned, wave.pending, wave.balanced) == (6, 6, True)


def test_what_waits_for_its_hours_is_still_expired_and_suppressed(ledger: Ledger, settings: Settings):
    programme = survey(business_hours={**OFFICE, "holidays": ["2026-03-02"]})
    sender = Sender(ledger, settings, programme)
    rows = [
        candidate("ann", programme=programme, expires_at=NOW + HOUR),
        candidate("bob", programme=programme),
        candidate("cyd", programme=programme),
    ]
    plan(ledger, rows)
    assert sender.claim() == ([], {OUTSIDE: 3}, {})
    lists.suppress(ledger, [rows[1]["person_key"]], "unsubscribed", now=NOW)
    assert sender.claim(NOW + 2 * HOUR) == ([], {OUTSIDE: 2}, {"expired": 1})
    assert sender.claim(NOW + DAY) == (["cyd"], {}, {"suppressed": 1})


def test_who_may_not_get_mail_yet_is_told_apart_from_who_sleeps(ledger: Ledger, settings: Settings):
    programme = survey(business_hours={**OFFICE, "days": ["sun"]})
    plan(ledger, [candidate("ann", programme=programme, email="ann@real-company.com")])
    assert Sender(ledger, settings, programme).claim() == ([], {"live sending is off": 1}, {})
    with_live = settings.model_copy(update={"live_sending": True})
    assert Sender(ledger, with_live, programme).claim() == ([], {OUTSIDE: 1}, {})


def test_an_alert_never_waits_for_business_hours(ledger: Ledger, settings: Settings):
    programme = survey(business_hours={**OFFICE, "days": ["sun"]})
    sender = Sender(ledger, settings, programme)
    plan(ledger, [candidate("ann", programme=programme)])
    with ledger.write() as conn:
        conn.execute(update(messages).values(kind="alert"))
    assert sender.claim() == (["ann"], {}, {})


def test_definitions_of_older_messages_need_not_know_the_newer_fields(ledger: Ledger, settings: Settings):
    old = {name: value for name, value in survey().model_dump(mode="json").items() if name in ("id", "cooldown")}
    plan(ledger, [candidate("ann", payload={"definition": old}), candidate("bob", payload={"definition": {}})])
    assert Sender(ledger, settings, survey()).claim() == (["ann", "bob"], {}, {})
