"""The widget's questions: who is due, what counts as shown, what closing means, and who may ask."""

from __future__ import annotations

import datetime as dt
import json

import pytest
import yaml
from sqlalchemy import select
from starlette.testclient import TestClient

from closedloop.contexts import make_context
from closedloop.identity import person_key
from closedloop.ledger import delivery, showing
from closedloop.ledger.books import books
from closedloop.ledger.lists import suppress
from closedloop.ledger.schema import actions, answers, events, messages
from closedloop.programme import load_surveys
from ingestion.collector.app import create_app

SECRET, APP = "a long random text", "https://app.example.com"
DAY = dt.timedelta(days=1)


@pytest.fixture
def settings(settings, tmp_path):
    """The post-close programme, asked in all places."""
    folder = tmp_path / "surveys"
    folder.mkdir()
    text = yaml.safe_load((settings.surveys / "post-close.yml").read_text())
    text["channels"] = ["email", "in_app", "portal"]
    text.pop("business_hours", None)
    (folder / "post-close.yml").write_text(yaml.safe_dump(text))
    return settings.model_copy(
        update={"surveys": folder, "widget_secret": SECRET, "widget_origins": [APP], "live_sending": True}
    )


@pytest.fixture
def client(settings, ledger, clock):
    with TestClient(create_app(settings, clock=clock), base_url=settings.collector_url) as client:
        yield client


@pytest.fixture
def planned(ledger, invite):
    """An invitation that nobody was sent yet."""
    return invite("ada")


def _post(client, path: str, origin: str | None = APP, **fields):
    headers = {} if origin is None else {"Origin": origin}
    return client.post(f"/widget/{path}", data=fields, headers=headers)


def _show(client, clock, contact: str = "ada", place: str = "in_app", **over):
    context = make_context(SECRET, contact, expires=clock.now() + dt.timedelta(hours=1))
    return _post(client, "show", **{"context": context, "place": place, **over})


def _message(ledger) -> dict:
    with ledger.read() as conn:
        return dict(conn.execute(select(messages)).mappings().one())


def _kinds(ledger) -> list[str]:
    with ledger.read() as conn:
        return list(conn.scalars(select(events.c.kind).order_by(events.c.seq)))


def _answers(ledger) -> list[dict]:
    with ledger.read() as conn:
        return [dict(row) for row in conn.execute(select(answers)).mappings()]


def test_shown_in_the_application_it_is_sent_there_and_no_mail_follows(client, clock, ledger, settings, planned):
    reply = _show(client, clock)
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == APP
    assert reply.json()["question"] and reply.json()["token"]
    shown = _message(ledger)
    assert (shown["state"], shown["channel"]) == ("sent", "in_app")
    assert _kinds(ledger) == ["sent", "shown"]
    assert all(book.balanced and book.sent == 1 for book in books(ledger))
    assert list(delivery.pending_waves(ledger)) == []
    assert _show(client, clock).status_code == 200, "until it is answered it is shown again"
    assert _kinds(ledger) == ["sent", "shown"]


def test_an_answer_in_place_is_the_answer(client, clock, ledger, planned):
    token = _show(client, clock).json()["token"]
    reply = _post(client, "answer", token=token, score="3", input="human", visible_ms="900")
    assert (reply.status_code, reply.json()) == (200, {"status": "recorded", "score": 3})
    _post(client, "answer", token=token, score="3", input="human", comment="Too slow")
    [answer] = _answers(ledger)
    assert (answer["score"], answer["channel"], answer["judged"], answer["comment"]) == (
        3,
        "in_app",
        "human",
        "Too slow",
    )
    assert _show(client, clock).status_code == 204


def test_closing_is_no_score_and_lasts_on_every_device(client, clock, ledger, planned):
    token = _show(client, clock, place="portal").json()["token"]
    assert _post(client, "dismiss", token=token, place="portal").status_code == 204
    assert _post(client, "dismiss", token=token, place="portal").status_code == 204
    assert _kinds(ledger) == ["sent", "shown", "dismissed"]
    assert _answers(ledger) == []
    assert _show(client, clock).status_code == _show(client, clock, place="portal").status_code == 204


def test_an_answer_in_the_portal_goes_to_the_timeline_once(client, clock, ledger, planned):
    token = _show(client, clock, place="portal").json()["token"]
    for comment in ("", "Fine"):
        _post(client, "answer", token=token, place="portal", score="9", input="human", comment=comment)
    with ledger.read() as conn:
        [row] = conn.execute(select(actions).where(actions.c.action == showing.TIMELINE)).mappings()
    assert (row["state"], json.loads(row["payload"])["score"]) == ("planned", 9)
    assert _answers(ledger)[0]["channel"] == "portal"


def test_who_is_suppressed_paused_or_over_is_not_shown_anything(client, clock, ledger, settings, planned):
    file = settings.surveys / "post-close.yml"
    active = file.read_text()
    file.write_text(active.replace("status: active", "status: paused"))
    assert _show(client, clock).status_code == 204
    file.write_text(active)
    suppress(ledger, [person_key("ada@customer.example")], "unsubscribed", now=clock.now())
    assert _show(client, clock).status_code == 204
    assert _message(ledger)["state"] == "pending"


def test_nobody_else_is_shown_it(client, clock, planned):
    assert _show(client, clock, contact="bob").status_code == 204


def test_a_survey_by_mail_only_is_never_shown(client, clock, ledger, settings, planned):
    with ledger.write() as conn:
        payload = json.loads(conn.execute(select(messages.c.payload)).scalar_one())
        payload["definition"]["channels"] = ["email"]
        conn.execute(messages.update().values(payload=json.dumps(payload)))
    assert _show(client, clock).status_code == 204


def test_what_was_sent_by_mail_may_still_be_shown(client, clock, ledger, settings, planned):
    surveys = {survey.id: survey for survey in load_surveys(settings.surveys)}
    [wave] = delivery.pending_waves(ledger)
    claim = delivery.claim(ledger, wave, surveys=surveys, settings=settings, owner="me", now=clock.now())
    ids = [row["message_id"] for row in claim.messages]
    delivery.hand_over(ledger, ids, owner="me", now=clock.now())
    assert _show(client, clock).status_code == 204, "it is under way"
    delivery.record_results(ledger, [delivery.Result(ids[0], "sent")], owner="me", now=clock.now())
    clock.time += DAY
    assert _show(client, clock).status_code == 200
    assert _message(ledger)["channel"] == "email", "the mail came first"


def test_what_is_never_shown_is_closed_when_it_is_over(ledger, clock, planned):
    with ledger.write() as conn:
        conn.execute(messages.update().values(channel="in_app", expires_at=clock.now() + DAY))
    assert showing.close_expired(ledger, now=clock.now()) == 0
    assert showing.close_expired(ledger, now=clock.now() + 2 * DAY) == 1
    assert _message(ledger)["state"] == "suppressed"


@pytest.mark.parametrize(
    "origin", [None, "null", "https://evil.example", "https://app.example.com.evil.example", APP + "/"]
)
@pytest.mark.parametrize("path", ["show", "answer", "dismiss"])
def test_only_allowed_origins_may_ask(client, ledger, planned, origin, path):
    reply = _post(client, path, origin=origin, context="x", token="x", score="0")
    assert reply.status_code == 403
    assert "access-control-allow-origin" not in reply.headers
    assert _kinds(ledger) == []


@pytest.mark.parametrize("path", ["/widget/show", "/widget/answer", "/widget/dismiss"])
def test_a_get_asks_nothing(client, ledger, planned, path):
    assert client.get(path, headers={"Origin": APP}).status_code == 405
    assert _kinds(ledger) == []


def test_a_context_must_be_signed_and_fresh(client, clock, ledger, planned):
    good = make_context(SECRET, "ada", expires=clock.now() + dt.timedelta(hours=1))
    old = make_context(SECRET, "ada", expires=clock.now())
    other = make_context("another secret", "ada", expires=clock.now() + DAY)
    flips = [good[:at] + ("A" if good[at] != "A" else "B") + good[at + 1 :] for at in range(0, len(good) - 1, 7)]
    for bad in ("", "x", "a.b", good + "x", good.replace(".", ""), old, other, "\u00e4.\u00fc", *flips):
        assert _post(client, "show", context=bad).status_code == 403, bad
    assert _kinds(ledger) == []


def test_a_token_of_a_mail_opens_nothing_here(client, settings, planned):
    from closedloop.links import Purpose, sign

    for purpose in (Purpose.SURVEY, Purpose.UNSUBSCRIBE, Purpose.OPEN):
        token = sign(settings.link_secret, planned, purpose)
        assert _post(client, "answer", token=token, score="0").status_code == 404


@pytest.mark.parametrize("fields", [{"score": "11"}, {"score": ""}, {"score": "9", "comment": "x" * 6000}, {}])
def test_what_is_no_answer_is_refused(client, clock, ledger, planned, fields):
    token = _show(client, clock).json()["token"]
    assert _post(client, "answer", token=token, **fields).status_code == 422
    assert _answers(ledger) == []


def test_the_script_is_small_and_needs_nobody_else(client):
    reply = client.get("/widget.js")
    assert reply.headers["content-type"].startswith("text/javascript")
    assert len(reply.content) < 9_000
    assert "http" not in reply.text.replace("https://", "").replace(
        "http://", ""
    ) and "cookie" not in reply.text.replace("No cookie", "")
