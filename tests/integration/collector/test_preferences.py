"""The preference page: what it shows, what it keeps, and what it leaves alone."""

from __future__ import annotations

import hashlib
import re

import pytest
from sqlalchemy import func, select

from closedloop.identity import person_key
from closedloop.ledger import lists
from closedloop.ledger.schema import events, preferences, suppressions
from closedloop.ledger.wishes import wishes_of
from closedloop.links import Purpose, sign

ADA = hashlib.md5(b"ada").hexdigest()
KEY = person_key("ada@customer.example")
CHOSEN = re.compile(r'name="(\w+)" value="([\w-]*)" checked')


@pytest.fixture
def path(settings, invite) -> str:
    return f"/p/{sign(settings.link_secret, invite('ada'), Purpose.PREFERENCES)}"


def _wishes(ledger):
    with ledger.read() as conn:
        return wishes_of(conn, KEY)


def _events(ledger) -> int:
    with ledger.read() as conn:
        return conn.scalar(select(func.count()).select_from(events))


def test_looking_writes_nothing_and_shows_what_stands(client, ledger, path) -> None:
    page = client.get(path)
    assert page.status_code == 200
    assert client.head(path).status_code == 200
    assert _events(ledger) == 0
    shown = CHOSEN.findall(page.text)
    assert ("surveys", "some") in shown
    assert ("at_most_every_days", "") in shown
    assert ("wanted", "post-close") in shown


def test_a_choice_is_on_disk_and_shown_again(client, ledger, path) -> None:
    form = {"surveys": "some", "wanted": ["relationship", "no-such-survey"], "at_most_every_days": "180"}
    page = client.post(path, data=form)
    assert page.status_code == 200
    assert "Your choice is saved." in page.text
    stands = _wishes(ledger)
    assert "post-close" in stands.unwanted
    assert stands.at_most_every_days == 180
    assert {"relationship", "no-such-survey"}.isdisjoint(stands.unwanted)
    shown = CHOSEN.findall(client.get(path).text)
    assert ("wanted", "post-close") not in shown
    assert ("at_most_every_days", "180") in shown
    before = _events(ledger)
    client.post(path, data=form)
    assert _events(ledger) == before, "the same again"


def test_none_at_all_and_back_again(client, settings, ledger, path) -> None:
    client.post(path, data={"surveys": "none", "wanted": "post-close", "at_most_every_days": ""})
    assert _wishes(ledger).suppressed_for == "unsubscribed"
    assert ("surveys", "none") in CHOSEN.findall(client.get(path).text)
    left = client.get(f"/u/{sign(settings.link_secret, ADA, Purpose.UNSUBSCRIBE)}")
    assert "You are already unsubscribed" in left.text
    assert f'href="{path}"' in left.text
    client.post(path, data={"surveys": "some", "wanted": "post-close", "at_most_every_days": ""})
    assert _wishes(ledger).suppressed_for is None
    assert "post-close" not in _wishes(ledger).unwanted


def test_an_address_that_bounced_is_told_so_and_stays(client, ledger, path, now) -> None:
    lists.suppress(ledger, [KEY], "bounced", now=now)
    page = client.get(path)
    assert "have been stopped" in page.text
    assert "<form" not in page.text
    page = client.post(path, data={"surveys": "some", "at_most_every_days": ""})
    assert "saved" not in page.text
    with ledger.read() as conn:
        assert conn.scalars(select(suppressions.c.reason)).all() == ["bounced"]
        assert conn.execute(select(preferences)).all() == []


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"surveys": "all"},
        {"surveys": "some", "at_most_every_days": "7"},
        {"surveys": "some", "at_most_every_days": "x"},
    ],
)
def test_what_cannot_be_chosen_is_refused(client, ledger, path, form) -> None:
    page = client.post(path, data=form)
    assert page.status_code == 422
    assert "Please choose one of the answers" in page.text
    assert _events(ledger) == 0


@pytest.mark.parametrize("purpose", [Purpose.SURVEY, Purpose.UNSUBSCRIBE, Purpose.OPEN, Purpose.WIDGET])
def test_only_its_own_link_opens_it(client, settings, invite, purpose) -> None:
    token = sign(settings.link_secret, invite("ada"), purpose)
    assert client.get(f"/p/{token}").status_code == 404
    assert client.post(f"/p/{token}", data={"surveys": "none"}).status_code == 404


def test_surveys_have_the_names_that_respondents_know(client, path) -> None:
    page = client.get(path).text
    assert "After a support request" in page and "Support Ticket Resolved" not in page


def test_the_links_of_a_sample_mail_show_their_pages_and_change_nothing(client, ledger, settings) -> None:
    for letter, purpose in (("u", Purpose.UNSUBSCRIBE), ("p", Purpose.PREFERENCES)):
        link = f"/{letter}/{sign(settings.link_secret, 'sample-support', purpose)}"
        assert client.get(link).status_code == 200
        done = client.post(link, data={"surveys": "none", "List-Unsubscribe": "One-Click"})
        assert done.status_code == 200 and "Nothing is recorded" in done.text
        gone = f"/{letter}/{sign(settings.link_secret, 'sample-nothing', purpose)}"
        assert client.get(gone).status_code == client.post(gone).status_code == 404
    assert _events(ledger) == 0
