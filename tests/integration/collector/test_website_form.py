"""The form on the website: who posts it answers, without being asked, without having to say who they are."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from closedloop.identity import person_key
from closedloop.ledger.answers import invitation
from closedloop.ledger.books import books, total
from closedloop.ledger.followups import list_followups
from closedloop.ledger.schema import events, messages
from closedloop.programme import load_surveys
from dispatch.followup import run_follow_up
from ingestion.collector.app import create_app

PROGRAMME = """
id: {id}
name: {id}
type: relationship
status: {status}
company: Northwind Cloud
channels: [web_form]

languages:
  de:
    question: {{text: "Wie wahrscheinlich ist es?"}}
questions:
  - id: reason
    kind: choice
    text: What brought you here?
    choices: [{{id: friend, label: A friend}}, {{id: search, label: A search}}]
"""


@pytest.fixture
def settings(settings, tmp_path: Path):
    folder = tmp_path / "surveys"
    folder.mkdir()
    for name, status in (("prospects", "active"), ("others", "active"), ("resting", "paused"), ("sketch", "draft")):
        (folder / f"{name}.yml").write_text(PROGRAMME.format(id=name, status=status))
    shutil.copy(settings.surveys / "post-close.yml", folder)
    return settings.model_copy(update={"surveys": folder, "max_posts_per_minute": 0})


@pytest.fixture
def client(settings, ledger, clock):
    with TestClient(create_app(settings, clock=clock), base_url=settings.collector_url) as client:
        yield client


def token(client, path: str = "/f/prospects") -> str:
    return re.search(r'name="token" value="([^"]+)"', client.get(path).text)[1]


def post(client, given: str | None = None, *, to: str = "/f/prospects", **fields: str):
    return client.post(to, data={"token": given or token(client), "score": "9", "email": "", "website": "", **fields})


def counts(ledger) -> tuple[int, int]:
    with ledger.read() as conn:
        return tuple(conn.scalar(select(func.count()).select_from(table)) for table in (messages, events))


def visits(ledger):
    with ledger.read() as conn:
        ids = conn.scalars(select(messages.c.message_id).where(messages.c.kind == "form").order_by("planned_at")).all()
        return [invitation(conn, one) for one in ids]


def test_looking_writes_nothing(client, ledger) -> None:
    page = client.get("/f/prospects")
    assert page.status_code == 200
    assert "Your email address (optional)" in page.text
    assert client.head("/f/prospects").status_code == 200
    assert counts(ledger) == (0, 0)


def test_an_answer_without_a_name(client, ledger) -> None:
    page = post(client, comment="Nice site", **{"reason:0-10": "friend"})
    assert page.status_code == 200 and "Thank you" in page.text
    [visit] = visits(ledger)
    answer = visit.answer
    assert (answer.score, answer.comment, answer.answers) == (9, "Nice site", {"reason": "friend"})
    assert (answer.channel, answer.judged) == ("web_form", "human"), "without the page's script too"
    assert visit.contact_id == f"visitor:{visit.invitation_id}"
    assert total(books(ledger)).planned == total(books(ledger)).sent == 0, "nobody was asked"


def test_one_page_is_one_answer_however_often_it_is_sent(client, ledger) -> None:
    given = token(client)
    for score, email in (("3", "ada@customer.example"), ("3", "ada@customer.example"), ("8", "ada@other.example")):
        assert post(client, given, score=score, email=email).status_code == 200
    [visit] = visits(ledger)
    assert visit.answer.score == 8
    assert visit.person_key == person_key("ada@other.example")
    post(client)
    assert len(visits(ledger)) == 2


def test_whoever_was_invited_before_is_the_same_person(client, ledger, invite) -> None:
    invite("ada")
    post(client, email=" Ada@customer.example ", score="2")
    [visit] = visits(ledger)
    assert (visit.contact_id, visit.account_id) == ("ada", "acme")
    assert visit.payload["owner_email"] == "robin.rep@closedloop.example"


def test_an_unhappy_visitor_is_followed_up(client, ledger, settings, clock) -> None:
    post(client, email="eve@prospect.example", score="1")
    surveys = load_surveys(settings.surveys)
    assert run_follow_up(ledger, settings, surveys, now=clock.now()).opened == 1
    [followup] = list_followups(ledger)
    assert (followup["assignment_rule"], followup["survey_id"]) == ("fallback_operator", "prospects")


def test_the_thank_you_page_leads_back_to_the_answer(client, ledger) -> None:
    page = post(client, score="4")
    change = re.search(r'href="(/s/[^"]+)"', page.text)[1]
    assert client.get(change).status_code == 200
    assert client.post(change, data={"score": "9", "input": "human"}).status_code == 200
    assert visits(ledger)[0].answer.score == 9


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"score": ""}, "Please choose a score"),
        ({"score": "11"}, "whole number"),
        ({"email": "no address"}, "That is no email address"),
        ({"email": "a@b.example\r\nBcc: c@d.example"}, "That is no email address"),
        ({"reason:0-10": "unheard"}, "cannot be chosen"),
    ],
    ids=["no score", "eleven", "no address", "two lines", "no such choice"],
)
def test_what_is_wrong_is_said_and_nothing_is_lost(client, ledger, fields, words) -> None:
    page = post(client, **{"comment": "Kept as it was", **fields})
    assert page.status_code == 422
    assert words in page.text and "Kept as it was" in page.text
    assert 'name="token" value="' in page.text
    assert counts(ledger) == (0, 0)


def test_what_no_person_fills_in_is_thanked_and_dropped(client, ledger) -> None:
    page = post(client, website="https://spam.example")
    assert page.status_code == 200 and "Thank you" in page.text
    assert counts(ledger) == (0, 0)


def test_only_a_token_of_this_form_lets_an_answer_in(client, ledger) -> None:
    good = token(client)
    flipped = [
        good[:place] + chr(ord(letter) ^ 1 << bit) + good[place + 1 :]
        for place, letter in enumerate(good)
        for bit in range(7)
    ]
    for bad in ("", "x", good[:-2] + "AA", token(client, "/f/others"), *flipped):
        assert client.post("/f/prospects", data={"token": bad, "score": "9"}).status_code == 404
    assert counts(ledger) == (0, 0)


@pytest.mark.parametrize(
    ("survey", "status"), [("nobody", 404), ("sketch", 404), ("resting", 410)], ids=["unknown", "draft", "paused"]
)
def test_only_an_active_programme_has_a_form(client, survey, status) -> None:
    assert client.get(f"/f/{survey}").status_code == status
    assert client.post(f"/f/{survey}", data={"score": "9"}).status_code == status


def test_a_survey_that_is_sent_has_no_form(settings, ledger, clock, tmp_path: Path) -> None:
    (tmp_path / "surveys" / "mailed.yml").write_text(
        PROGRAMME.format(id="mailed", status="active").replace("channels: [web_form]", "triggers: [{event: deal_won}]")
    )
    with TestClient(create_app(settings, clock=clock)) as client:
        assert client.get("/f/mailed").status_code == 404


def test_the_visitors_language(client) -> None:
    assert "Wie wahrscheinlich" in client.get("/f/prospects", headers={"Accept-Language": "fr;q=0.9, de-AT"}).text
    assert "Wie wahrscheinlich" in client.get("/f/prospects?language=de").text
    page = client.get("/f/prospects?language=xx", headers={"Accept-Language": "fr"})
    assert 'lang="en"' in page.text


def test_who_gave_no_address_is_offered_nothing_to_stop(client) -> None:
    for email, offered in (("", False), ("ada@customer.example", True)):
        posted = {"token": token(client), "score": "9", "email": email}
        change = re.search(r'href="(/s/[^"]+)"', client.post("/f/prospects", data=posted).text)[1]
        page = client.get(change).text
        assert ("/u/" in page) == offered
        thanks = client.post(change, data={"score": "8", "input": "human"}).text
        assert ("/p/" in thanks) == offered
