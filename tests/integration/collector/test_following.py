"""The pages of those who follow up: every move by its form, nothing by a GET, and nothing twice."""

from __future__ import annotations

import datetime as dt
import json
import re

import pytest
from hostile import MARKUP, SCRIPTS
from sqlalchemy import func, select, update

from closedloop.ledger import answers
from closedloop.ledger.actions import actions_of
from closedloop.ledger.followups import list_followups
from closedloop.ledger.schema import events, messages
from closedloop.ledger.teams import record_absence
from closedloop.links import follow_up_link, worklist_link
from closedloop.programme import load_surveys
from dispatch.followup import run_follow_up

HOUR = dt.timedelta(hours=1)
OWNER = "robin.rep@closedloop.example"
TEAM = {
    "manager_id": "U2",
    "manager_name": "Max Manager",
    "manager_email": "max@closedloop.example",
}


@pytest.fixture
def followed(ledger, settings, invite, now):
    """Lets a customer answer and the follow-up begin; gives the invitation's id."""

    def make(name: str = "ada", score: int = 5, comment: str | None = "Nobody calls back", **payload) -> str:
        invitation = invite(name, **(TEAM | payload))
        with ledger.write() as conn:
            answers.record_answer(
                conn, invitation, score, comment=comment, channel="email", judged="human", at=now, now=now
            )
        run_follow_up(ledger, settings, (), now=now)
        return invitation

    return make


def _count(ledger) -> int:
    with ledger.read() as conn:
        return conn.execute(select(func.count()).select_from(events)).scalar_one()


def sample_definition(settings) -> dict:
    [survey] = [one for one in load_surveys(settings.surveys) if one.id == "post-close"]
    return survey.model_dump(mode="json")


def _post(client, link: str, do: str, **fields):
    return client.post(link, data={"do": do, "by": "Robin Rep"} | fields, follow_redirects=False)


def test_from_the_alert_to_the_outcome(client, clock, ledger, settings, followed):
    invitation = followed()
    link = follow_up_link(settings, invitation)
    page = client.get(link)
    assert page.status_code == 200
    for words in ("Nobody calls back", "5 of 10", "Sample Company", "Not contacted yet", "in 24 hours", "in 2 days"):
        assert words in page.text
    clock.time += 2 * HOUR
    done = _post(client, link, "contacted", note="called, was angry")
    assert (done.status_code, done.headers["location"].partition("?")[2]) == (303, "saved")
    page = client.get(done.headers["location"])
    assert "Saved." in page.text and "called, was angry" in page.text and "in time" in page.text
    for step in ("investigating", "resolving", "reported_back"):
        assert _post(client, link, "step", step=step).status_code == 303
    assert _post(client, link, "outcome", outcome="resolved", note="credit note").status_code == 303
    [row] = list_followups(ledger, include_closed=True)
    assert (row["status"], row["outcome"], row["first_contact_at"]) == ("closed", "resolved", clock.time)
    page = client.get(link).text
    assert "Closed: resolved" in page and "Reopen it" in page and "I have contacted them" not in page
    assert _post(client, link, "reopen", note="broke again").status_code == 303
    assert list_followups(ledger)[0]["status"] == "investigating"


def test_a_get_and_a_head_write_nothing(client, ledger, settings, followed):
    link = follow_up_link(settings, followed())
    before = _count(ledger)
    for address in (link, f"{link}?do=contacted&by=me", worklist_link(settings, OWNER)):
        assert client.get(address).status_code == 200
        assert client.head(address).status_code == 200
    assert _count(ledger) == before


@pytest.mark.parametrize(
    ("do", "fields", "problem"),
    [
        ("contacted", {"by": " "}, "so that it is known who did it"),
        ("outcome", {"by": " ", "outcome": "no_response"}, "so that it is known who did it"),
        ("hand_over", {"by": " ", "to": "max@closedloop.example"}, "so that it is known who did it"),
        ("contacted", {"at": "yesterday"}, "time cannot be read"),
        ("contacted", {"at": "2000-01-01T09:00"}, "before what it follows"),
        ("contacted", {"at": "2999-01-01T09:00"}, "in the future"),
        ("contacted", {"at": "0001-01-01T00:00+14:00"}, "time cannot be read"),
        ("step", {"step": "resolving"}, "needs a first contact"),
        ("step", {"step": "nonsense"}, "no such step"),
        ("outcome", {"outcome": "resolved"}, "needs a first contact"),
        ("outcome", {"outcome": "nonsense"}, "no such outcome"),
        ("note", {"note": "  "}, "note is empty"),
        ("note", {"note": "x" * 5000}, "at most"),
        ("hand_over", {"to": "anyone@evil.test"}, "choose one of the colleagues"),
        ("reopen", {"note": "why"}, "not closed"),
        ("delete", {}, "no such button"),
    ],
)
def test_what_is_refused_is_said_and_changes_nothing(client, ledger, settings, followed, do, fields, problem):
    link = follow_up_link(settings, followed())
    before, rows = _count(ledger), list_followups(ledger)
    page = client.post(link, data={"do": do, "by": "Robin", **fields})
    assert page.status_code == 409
    assert problem in page.text.replace("&#39;", "'").lower() and "Nothing was saved" in page.text
    assert (_count(ledger), list_followups(ledger)) == (before, rows)


def test_what_was_typed_is_not_lost_when_somebody_else_was_faster(client, ledger, settings, followed):
    link = follow_up_link(settings, followed())
    assert _post(client, link, "contacted").status_code == 303
    page = client.post(link, data={"do": "contacted", "by": "Max Manager", "note": "I called too"})
    assert page.status_code == 409 and "recorded already" in page.text
    page = client.post(link, data={"do": "note", "by": "Max Manager", "note": "x" * 4001})
    assert page.status_code == 409 and "x" * 4000 in page.text and 'value="Max Manager"' in page.text

    page = client.post(link, data={"do": "contacted", "by": "Max", "note": "I called too"})
    assert re.search(
        r'<details open><summary>Add a note.*?<textarea id="note-note"[^>]*>I called too<', page.text, re.S
    )


def _as_seen(client, link: str) -> dict[str, str]:
    return {"seen": re.search(r'name="seen" value="(\d+)"', client.get(link).text)[1]}


TWICE = {
    "contacted": {"note": "called"},
    "note": {"note": "called"},
    "hand_over": {"to": "max@closedloop.example"},
    "outcome": {"outcome": "no_response"},
}


@pytest.mark.parametrize("do", TWICE)
def test_a_button_pressed_twice_is_pressed_once(client, ledger, settings, followed, do):
    link = follow_up_link(settings, followed())
    form = TWICE[do] | _as_seen(client, link)
    assert _post(client, link, do, **form).status_code == 303
    once = _count(ledger)
    again = _post(client, link, do, **form)
    assert (again.status_code, again.headers.get("location")) == (
        303,
        f"{link.removeprefix(settings.collector_url)}?saved",
    )
    assert _count(ledger) == once


def test_the_further_steps_too(client, ledger, settings, followed):
    link = follow_up_link(settings, followed())
    assert _post(client, link, "contacted").status_code == 303
    for do, fields in (
        ("step", {"step": "investigating"}),
        ("outcome", {"outcome": "resolved"}),
        ("reopen", {"note": "broke"}),
    ):
        form = fields | _as_seen(client, link)
        assert [_post(client, link, do, **form).status_code for _ in range(2)] == [303, 303]
        assert _post(client, link, do, **form, by="Max Manager").status_code == 409  # he saw another state
    with ledger.read() as conn:
        kinds = conn.scalars(select(events.c.kind).order_by(events.c.seq)).all()
    assert kinds[-4:] == ["first_contact", "followup_step", "outcome", "followup_reopened"]


def test_a_page_that_is_out_of_date_moves_nothing_back(client, ledger, settings, followed):
    link = follow_up_link(settings, followed())
    assert _post(client, link, "contacted").status_code == 303
    stale = _as_seen(client, link)
    assert _post(client, link, "step", step="reported_back").status_code == 303
    page = client.post(link, data={"do": "step", "step": "investigating", "by": "Max", "note": "see case 7", **stale})
    assert page.status_code == 409 and "Somebody has moved this on" in page.text and "see case 7" in page.text
    assert list_followups(ledger)[0]["status"] == "reported_back"
    assert _post(client, link, "note", note="see case 7", **stale).status_code == 303  # a note changes no state


def test_words_of_the_customer_do_not_make_a_page_out_of_date(client, ledger, settings, followed, now):
    invitation = followed(comment=None)
    link = follow_up_link(settings, invitation)
    seen = _as_seen(client, link)
    with ledger.write() as conn:
        answers.record_answer(conn, invitation, 5, comment="Late", channel="email", judged="human", at=now, now=now)
    assert _post(client, link, "contacted", **seen).status_code == 303


@pytest.mark.parametrize("seen", ["", "-1", "x", "9" * 5000, "1e3"])
def test_what_no_page_ever_said_is_passed_over(client, settings, followed, seen):
    assert _post(client, follow_up_link(settings, followed()), "note", note="called", seen=seen).status_code == 303


def test_who_was_asked_by_text_message_can_be_called(client, ledger, settings, followed):
    invitation = followed(mobile_phone="+49 170 1234567")
    assert '<a href="tel:+491701234567">+49 170 1234567</a>' in client.get(follow_up_link(settings, invitation)).text
    with ledger.read() as conn:
        said = json.loads(conn.scalar(select(messages.c.payload).where(messages.c.kind == "alert")))
    assert said["contact_phone"] == "+49 170 1234567"


def test_a_long_note_in_any_script_is_taken(client, settings, followed):
    link, note = follow_up_link(settings, followed()), "\u754c" * 4000
    page = client.get(link).text
    assert page.count("<form") == page.count('enctype="multipart/form-data"')
    form = {name: (None, value) for name, value in {"do": "note", "by": "Robin", "note": note}.items()}
    assert client.post(link, files=form, follow_redirects=False).status_code == 303
    assert note in client.get(link).text


@pytest.mark.parametrize(("days", "words"), [(0, "today"), (1, "in 1 day"), (-1, "1 day ago"), (40, "in 40 days")])
def test_a_renewal_is_a_day_and_not_an_hour(client, ledger, settings, followed, now, days, words):
    renewal = (now + dt.timedelta(days=days)).date()
    invitation = followed()
    with ledger.write() as conn:
        [(key, payload)] = conn.execute(
            select(messages.c.message_id, messages.c.payload).where(messages.c.kind == "alert")
        ).all()
        known = json.dumps({**json.loads(payload), "account": {"renewal_date": renewal.isoformat()}})
        conn.execute(update(messages).where(messages.c.message_id == key).values(payload=known))
    assert f"{renewal.day} {renewal:%B %Y}, {words}<" in client.get(follow_up_link(settings, invitation)).text


def test_further_answers_stand_with_the_words_that_the_customer_saw(client, ledger, settings, invite, now):
    definition = {
        **sample_definition(settings),
        "questions": [
            {"id": "more", "text": "{{ first_name }}, what should {{ company }} mend?", "kind": "open", "scores": "0-6"}
        ],
    }
    invitation = invite("ada", first_name="Ada", company="Northwind", definition=definition)
    given = {"more": "The invoices"}
    with ledger.write() as conn:
        answers.record_answer(conn, invitation, 4, answers=given, channel="email", judged="human", at=now, now=now)
    run_follow_up(ledger, settings, (), now=now)
    page = client.get(follow_up_link(settings, invitation)).text
    assert '<dt>Ada, what should Northwind mend?</dt><dd dir="auto">The invoices</dd>' in page


def test_handing_over_tells_the_other_one(client, ledger, settings, followed):
    invitation = followed()
    link = follow_up_link(settings, invitation)
    assert "max@closedloop.example" in client.get(link).text
    assert _post(client, link, "hand_over", to="max@closedloop.example").status_code == 303
    [row] = list_followups(ledger)
    assert (row["assignee_email"], row["assignee_id"], row["assignment_rule"]) == (
        "max@closedloop.example",
        "U2",
        "handed_over",
    )
    key = actions_of(ledger, invitation)["hand_over:1"]["message_id"]
    with ledger.read() as conn:
        payload = conn.scalar(select(messages.c.payload).where(messages.c.message_id == key))
    assert '"email":"max@closedloop.example"' in payload and '"notice":"handed_over"' in payload
    assert client.post(link, data={"do": "hand_over", "by": "x", "to": "max@closedloop.example"}).status_code == 409


def test_the_other_one_reads_what_was_said_since(client, ledger, settings, followed, now):
    invitation = followed(comment=None)
    with ledger.write() as conn:
        answers.record_answer(conn, invitation, 3, comment="Late", channel="email", judged="human", at=now, now=now)
    assert (
        _post(client, follow_up_link(settings, invitation), "hand_over", to="max@closedloop.example").status_code == 303
    )
    key = actions_of(ledger, invitation)["hand_over:1"]["message_id"]
    with ledger.read() as conn:
        said = json.loads(conn.scalar(select(messages.c.payload).where(messages.c.message_id == key)))
    assert (said["score"], said["comment"], said["notice"]) == (3, "Late", "handed_over")


def test_who_could_take_it(client, ledger, settings, followed, now):
    record_absence(ledger, "max@closedloop.example", since=now - HOUR, until=now + 99 * HOUR, by="Max Manager", now=now)
    page = client.get(
        follow_up_link(settings, followed(csm_name="Kim", csm_email="kim at home", owner_email=OWNER))
    ).text
    assert "Max Manager (away)" in page and "kim at home" not in page


def test_the_list_of_one_colleague(client, clock, ledger, settings, followed):
    first, second, third = followed("ada"), followed("bob", 6, comment=None), followed("cyd", 4)
    mine = worklist_link(settings, OWNER.upper())
    assert OWNER not in mine
    page = client.get(mine).text
    assert page.count("first contact due in 2 days") == 3 and "3 open" in page
    clock.time += 72 * HOUR
    _post(client, follow_up_link(settings, second), "contacted")
    _post(client, follow_up_link(settings, third), "outcome", outcome="no_response")
    page = client.get(mine).text
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    assert titles == ["Waiting for a first contact", "Under way", "Closed in the last 30 days"]
    assert "first contact due 24 hours ago" in page and 'class="late"' in page
    assert client.get(re.search(r'href="(/w/[^"]+)"', page)[1]).status_code == 200
    clock.time += 31 * 24 * HOUR
    assert "Closed in the last" not in client.get(mine).text
    assert first


def test_a_link_to_one_followup_does_not_open_the_list(client, ledger, settings, followed):
    link = follow_up_link(settings, followed())
    assert "/w/list/" not in client.get(link).text
    assert "/w/list/" not in client.get(f"{link}?list={link.rpartition('/')[2]}").text  # a key to something else
    assert _post(client, link, "hand_over", to="max@closedloop.example").status_code == 303
    assert "/w/list/" not in client.get(link).text  # nor the other one's, for who has handed it over


def test_who_comes_from_the_list_finds_back(client, settings, followed):
    followed()
    listing = worklist_link(settings, OWNER)
    link = re.search(r'href="(/w/[^"]+)"', client.get(listing).text)[1]
    done = _post(client, link, "note", note="called")
    for page in (client.get(link), client.get(done.headers["location"]), client.post(link, data={"do": "note"})):
        assert f'href="{listing.removeprefix(settings.collector_url)}"' in page.text
        assert f'action="{link}"' in page.text
    assert "Saved." in client.get(done.headers["location"]).text


def test_an_address_in_two_spellings_is_one_colleague(client, settings, followed):
    followed("ada", owner_email="Robin@closedloop.example")
    followed("bob", owner_email="robin@closedloop.example")
    assert "2 open" in client.get(worklist_link(settings, "robin@closedloop.example")).text


def test_the_list_shows_the_score_that_stands_and_both_clocks(client, clock, ledger, settings, followed, now):
    invitation = followed("ada", 5)
    with ledger.write() as conn:
        answers.record_answer(conn, invitation, 9, channel="email", judged="human", at=now + HOUR, now=now + HOUR)
    clock.time += 30 * HOUR
    page = client.get(worklist_link(settings, OWNER)).text
    assert "9 of 10" in page and "5 of 10" not in page
    assert "to be acknowledged 6 hours ago, first contact due in 18 hours" in page and 'class="late"' in page


def test_words_in_any_direction_stay_by_themselves(client, settings, followed):
    words = "\u05dc\u05d0 \u05d8\u05d5\u05d1!"
    link = follow_up_link(settings, followed(comment=words))
    _post(client, link, "note", note=words)
    page = client.get(link).text
    assert f'<blockquote dir="auto">{words}' in page and f'<p dir="auto">{words}' in page
    assert f'dir="auto">{words}' in client.get(worklist_link(settings, OWNER)).text


def test_whoever_is_about_to_call_sees_that_the_answer_was_voided(client, ledger, settings, followed, now):
    invitation = followed()
    with ledger.write() as conn:
        answers.void(conn, invitation, by="kim", why="a test of ours", at=now, now=now)
    page = client.get(follow_up_link(settings, invitation)).text
    assert "taken out of all numbers" in page and "a test of ours" in page


def test_nobody_waits_for_somebody_who_has_none(client, settings):
    page = client.get(worklist_link(settings, "new@closedloop.example"))
    assert page.status_code == 200 and "Nobody waits for you" in page.text


def test_links_open_only_what_they_are_for(client, settings, followed, invite):
    invitation = followed()
    token = follow_up_link(settings, invitation).rpartition("/")[2]
    listing = worklist_link(settings, OWNER).rpartition("/")[2]
    for path in (f"/s/{token}", f"/u/{token}", f"/w/list/{token}", f"/w/{listing}", f"/w/{token[:-1]}", "/w/x"):
        assert client.get(path).status_code == 404
        assert client.post(path, data={"do": "contacted", "by": "me"}).status_code in (404, 405)
    unanswered = follow_up_link(settings, invite("eve"))
    assert client.get(unanswered).status_code == 404


@pytest.mark.parametrize("name", SCRIPTS)
def test_hostile_words_stay_words(client, settings, followed, name):
    said = SCRIPTS[name]
    invitation = followed(name, comment=said, contact_name=said, account_name=said, manager_name=said, owner_name=said)
    link = follow_up_link(settings, invitation)
    client.post(link, data={"do": "note", "by": said[:100], "note": said})
    shown = client.get(link).text + client.get(worklist_link(settings, OWNER)).text
    shown += client.post(link, data={"do": "outcome", "by": said, "note": said, "outcome": said}).text
    for mark in MARKUP:
        assert mark not in shown.lower()


def test_the_customers_address_opens_a_mail_to_them_alone(client, settings, followed):
    page = client.get(follow_up_link(settings, followed(email="ada?cc=x+y@customer.example"))).text
    assert 'href="mailto:ada%3Fcc%3Dx%2By@customer.example"' in page
