"""A link opens one invitation for one purpose; nothing that was made from it, or beside it, opens anything."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import json
import re

import pytest
from starlette.testclient import TestClient

from closedloop.contexts import make_context
from closedloop.links import Purpose, sign
from closedloop.programme import load_surveys
from ingestion.collector.app import create_app
from tests.support.rows_of_ledger import rows_of

APP, SECRET = "https://app.example.com", "a-long-random-text"
FORM = {"score": "0", "comment": "not theirs", "input": "human", "surveys": "none", "place": "in_app"}
ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~")

OF_INVITATIONS = [purpose for purpose in Purpose if purpose is not Purpose.FORM]  # that one: test_website_form
LETTERS = {
    Purpose.SURVEY: "s",
    Purpose.UNSUBSCRIBE: "u",
    Purpose.PREFERENCES: "p",
    Purpose.FOLLOW_UP: "w",
    Purpose.WORKLIST: "w/list",
}


@pytest.fixture
def settings(settings):
    over = {"widget_secret": SECRET, "widget_origins": [APP], "max_posts_per_minute": 0, "max_visits_per_minute": 0}
    return settings.model_copy(update=over)


def _try(client, purpose: Purpose, token: str) -> set[int]:
    """What all requests that this token could be meant for are answered with."""
    if purpose is Purpose.WIDGET:
        fields, headers = FORM | {"token": token}, {"Origin": APP}
        return {
            client.post(f"/widget/{what}", data=fields, headers=headers).status_code for what in ("answer", "dismiss")
        }
    if purpose is Purpose.OPEN:
        reply = client.get(f"/o/{_in_path(token)}.gif")
        assert (reply.status_code, reply.headers["content-type"]) in (
            (200, "image/gif"),
            (404, "text/html; charset=utf-8"),
        )
        return {404}  # a picture comes in any case; what counts is that nothing is written
    path = f"/{LETTERS[purpose]}/{_in_path(token)}"
    return {client.get(path).status_code, client.post(path, data=FORM).status_code}


def _in_path(token: str) -> str:
    """The token as a client puts it into an address, so that it arrives with every one of its bytes."""
    return "".join(letter if letter in ALPHABET else f"%{ord(letter):02X}" for letter in token)


def _flips(token: str) -> list[str]:
    """Every text that differs in one bit."""
    return [
        token[:place] + chr(ord(letter) ^ 1 << bit) + token[place + 1 :]
        for place, letter in enumerate(token)
        for bit in range(7)
    ]


@pytest.mark.parametrize("purpose", OF_INVITATIONS)
def test_no_flipped_bit_passes_and_nothing_is_written(client, ledger, settings, invite, purpose) -> None:
    token = sign(settings.link_secret, invite("ada"), purpose)
    before = rows_of(ledger)
    for forged in _flips(token):
        assert _try(client, purpose, forged) <= {404, 405}, "a slash or dots make another path"
    assert rows_of(ledger) == before


@pytest.mark.parametrize("purpose", OF_INVITATIONS)
def test_what_is_cut_lengthened_spelled_otherwise_or_made_elsewhere_passes_nowhere(
    client, ledger, settings, invite, purpose
) -> None:
    ada, bob = invite("ada"), invite("bob")
    token, other = (sign(settings.link_secret, one, purpose) for one in (ada, bob))
    packed, signature = token.split(".")
    before = rows_of(ledger)
    forged = [
        *(token[:length] for length in range(1, len(token))),
        *(token[start:] for start in range(1, len(token))),
        *(token + more for more in ("A", "=", "==", "!", "~", "%", ".", "\n", "\x00", " ", ".A", f".{signature}")),
        *(f"{more}{token}" for more in ("A", "~", ".", " ")),
        f"{packed}.{other.split('.')[1]}",
        f"{other.split('.')[0]}.{signature}",
        f"{packed}={'.'}{signature}",
        f"{packed}.{signature[:5]}!{signature[5:]}",
        f"{packed}.",
        f".{signature}",
        packed,
        ada,
        token.swapcase(),
        sign("another home's key", ada, purpose),
        sign("a", ada, purpose),
        *(sign(settings.link_secret, ada, another) for another in Purpose if another is not purpose),
        make_context(SECRET, "ada", expires=dt.datetime(2100, 1, 1, tzinfo=dt.UTC)),
    ]
    for text in forged:
        assert _try(client, purpose, text) <= {404, 405}
    assert rows_of(ledger) == before
    # A follow-up is only there once somebody answered: test_following.
    assert _try(client, purpose, token) != {404} or purpose in (Purpose.OPEN, Purpose.FOLLOW_UP)


def test_a_link_reads_and_changes_only_its_own_answer(client, ledger, settings, invite) -> None:
    """All that Bob has, played against Ada's invitation: his links, with her ids wherever a field could name her."""
    ada = invite("ada", first_name="Adelheid", account_name="Ada's account")
    bob = invite("bob", first_name="Robert")
    hers, his = ({one: sign(settings.link_secret, who, one) for one in Purpose} for who in (ada, bob))
    client.post(f"/s/{hers[Purpose.SURVEY]}", data={"score": "9", "comment": "Hers alone.", "input": "human"})
    before = rows_of(ledger, about=ada)
    named = {"invitation_id": ada, "message_id": ada, "contact_id": "ada", "email": "ada@customer.example"}
    pages = []
    for letter, purpose in (("s", Purpose.SURVEY), ("u", Purpose.UNSUBSCRIBE), ("p", Purpose.PREFERENCES)):
        path = f"/{letter}/{his[purpose]}"
        pages += [client.get(path, params=named), client.post(path, data=FORM | {"at_most_every_days": ""} | named)]
        pages += [client.post(path, params=named, data=FORM | {"at_most_every_days": ""})]
    for path in ("answer", "dismiss"):
        fields = FORM | named | {"token": his[Purpose.WIDGET], "context": hers[Purpose.WIDGET]}
        pages.append(client.post(f"/widget/{path}", data=fields, headers={"Origin": APP}))
    client.get(f"/o/{his[Purpose.OPEN]}.gif", params=named)
    assert rows_of(ledger, about=ada) == before
    said = "".join(page.text for page in pages)
    assert "Hers alone." not in said and "Adelheid" not in said and "Ada's account" not in said
    assert not any(token in said for token in hers.values())


def test_a_page_hands_out_no_token_of_anybody_else(client, settings, invite) -> None:
    ada, bob = invite("ada"), invite("bob")
    page = client.get(f"/s/{sign(settings.link_secret, ada, Purpose.SURVEY)}?score=9").text
    tokens = set(re.findall(r"/[supo]/([A-Za-z0-9_.~-]+)", page))
    assert tokens == {sign(settings.link_secret, ada, one) for one in (Purpose.SURVEY, Purpose.UNSUBSCRIBE)}
    assert not tokens & {sign(settings.link_secret, bob, one) for one in Purpose}


@pytest.fixture
def in_app(settings, clock, invite):
    """A client over invitations of two people who may be asked in an application."""
    folder = settings.home / "surveys"
    folder.mkdir()
    text = (settings.surveys / "post-close.yml").read_text()
    (folder / "post-close.yml").write_text(f"{text}\nchannels: [email, in_app, portal]\n")
    [survey] = load_surveys(folder)
    for name in ("ada", "bob"):
        invite(name, definition=survey.model_dump(mode="json"))
    settings = settings.model_copy(update={"surveys": folder, "live_sending": True})
    with TestClient(create_app(settings, clock=clock), base_url=settings.collector_url) as client:
        yield client


def _show(client, context: str, **more: str):
    return client.post("/widget/show", data={"context": context, "place": "in_app"} | more, headers={"Origin": APP})


def test_a_context_shows_its_own_contact_only(in_app, ledger, settings, clock, invite) -> None:
    hour = dt.timedelta(hours=1)
    ada, bob = (make_context(SECRET, who, expires=clock.now() + hour) for who in ("ada", "bob"))
    before = rows_of(ledger, about=hashlib.md5(b"ada").hexdigest())
    token = _show(in_app, bob, contact="ada", contact_id="ada", token=ada).json()["token"]
    sent = in_app.post("/widget/answer", data={"token": token, "score": "3", "contact": "ada"}, headers={"Origin": APP})
    assert sent.status_code == 422, "a field that no survey has"
    sent = in_app.post(
        "/widget/answer", data={"token": token, "score": "3", "place": "in_app"}, headers={"Origin": APP}
    )
    assert sent.json() == {"status": "recorded", "score": 3}
    assert rows_of(ledger, about=hashlib.md5(b"ada").hexdigest()) == before
    assert _show(in_app, ada).json()["token"] != token


def test_no_forged_or_ended_context_shows_anything(in_app, ledger, clock) -> None:
    good = make_context(SECRET, "ada", expires=clock.now() + dt.timedelta(hours=1))
    part, signature = good.split(".")
    encode = lambda body: base64.urlsafe_b64encode(json.dumps(body).encode()).decode().rstrip("=")  # noqa: E731
    later = int((clock.now() + dt.timedelta(days=1)).timestamp())
    forged = [
        *_flips(good),
        *(good[:length] for length in range(len(good))),
        *(good + more for more in ("A", "=", "!", ".", ".A", " ", "\n")),
        f"{part}=.{signature}",
        f"{part}.{signature}=",
        f"{encode({'contact': 'ada', 'expires': later})}.{signature}",
        f"{encode({'contact': 'ada', 'expires': later, 'alg': 'none'})}.",
        make_context(f"{SECRET}-and-more", "ada", expires=clock.now() + dt.timedelta(days=1)),
        make_context("another's", "ada", expires=clock.now() + dt.timedelta(days=1)),
        make_context(SECRET, "", expires=clock.now() + dt.timedelta(days=1)),
        make_context(SECRET, "ada", expires=clock.now()),
        make_context(SECRET, "ada", expires=clock.now() - dt.timedelta(days=1)),
    ]
    before = rows_of(ledger)
    for context in forged:
        reply = _show(in_app, context)
        assert (reply.status_code, reply.text) == (403, '{"status":"bad_context"}')
        assert in_app.get(f"/portal/{_in_path(context)}").status_code == 404
    assert rows_of(ledger) == before
    clock.time += dt.timedelta(hours=1)
    assert _show(in_app, good).status_code == 403, "played again when it has ended"
    assert in_app.get(f"/portal/{good}").status_code == 404
    assert rows_of(ledger) == before


@pytest.mark.parametrize("secret", ["", " "])
def test_without_a_secret_no_context_is_good(settings, clock, ledger, secret) -> None:
    settings = settings.model_copy(update={"widget_secret": secret})
    part = base64.urlsafe_b64encode(b'{"contact":"ada","expires":9999999999}').decode().rstrip("=")
    for key in (b"", b" "):
        signature = base64.urlsafe_b64encode(hmac.digest(key, part.encode(), "sha256")).decode().rstrip("=")
        with TestClient(create_app(settings, clock=clock), base_url=settings.collector_url) as client:
            assert _show(client, f"{part}.{signature}").status_code == 403
