"""Names and words that would be markup stay words on every page; what is kept is what was written."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from closedloop.contexts import make_context
from closedloop.ledger.answers import invitation
from closedloop.links import Purpose, sign
from closedloop.programme import load_surveys
from ingestion.collector.app import create_app
from tests.support.asking_more import asking_more
from tests.support.hostile import REDIRECTS, SCRIPTS

APP, SECRET = "https://app.example.com", "a-long-random-text"
ASSETS = Path(__file__).resolve().parents[3] / "ingestion" / "collector" / "assets"
NAMES = ("first_name", "last_name", "contact_name", "account_name", "company", "owner_name", "csm_name")
ALL = " ".join("{{ " + name + " }}" for name in NAMES)


class Tags(HTMLParser):
    """What a browser makes of a page: its tags, without what scripts and styles hold."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def shape(self) -> list[tuple[str, tuple[str, ...]]]:
        """Tags and the names of their attributes: what no word of a person may change."""
        return [(tag, tuple(attributes)) for tag, attributes in self.tags]


@pytest.fixture
def settings(settings, tmp_path):
    return settings.model_copy(update={"widget_secret": SECRET, "widget_origins": [APP], "max_posts_per_minute": 0})


def _definition(text: str = "", **over) -> dict:
    """A programme that shows all names in all its texts, and `text` as its own words."""
    shown = f"{text} {ALL}".strip()
    questions = [
        {"id": "reason", "kind": "choice", "text": shown, "choices": [{"id": "price", "label": shown}]},
        {"id": "idea", "text": shown},
    ]
    bands = dict.fromkeys(("detractor", "passive", "promoter"), shown)
    made = asking_more(
        question={"text": shown, "low_label": shown, "high_label": shown},
        follow_up_questions=bands,
        thank_you=bands,
        questions=questions,
        languages={},
        channels=["email", "in_app", "portal"],
        email={"subject": shown},
        **over,
    )
    return made.model_dump(mode="json")


def _pages(client, settings, invitation_id: str, words: str):
    """Every page that a person meets, by its name."""
    tokens = {one: sign(settings.link_secret, invitation_id, one) for one in Purpose}
    survey, leave, wishes = f"/s/{tokens['survey']}", f"/u/{tokens['unsubscribe']}", f"/p/{tokens['preferences']}"
    answer = {"score": "9", "comment": words, "idea:0-10": words, "reason:0-10": ["", "price"], "input": "human"}
    yield "question", client.get(f"{survey}?score=9")
    yield "wrong", client.post(survey, data=answer | {"score": "11"})
    yield "wrong-choice", client.post(survey, data=answer | {"reason:0-10": words or "x"})
    yield "thanks", client.post(survey, data=answer)
    yield "changing", client.get(survey)
    yield "wishes", client.get(wishes)
    yield "chosen", client.post(wishes, data={"surveys": "some", "wanted": words, "at_most_every_days": ""})
    yield "leaving", client.get(leave)
    yield "left", client.post(leave)
    yield "gone", client.get(leave)


@pytest.mark.parametrize("words", SCRIPTS.values(), ids=SCRIPTS)
def test_no_word_of_a_person_changes_the_shape_of_a_page(client, ledger, settings, invite, words) -> None:
    plain = invite("ada", definition=_definition(), **dict.fromkeys(NAMES, "Plain"))
    hostile = invite("eve", definition=_definition(), **dict.fromkeys(NAMES, words))
    for (name, usual), (_, page) in zip(
        _pages(client, settings, plain, "Plain"), _pages(client, settings, hostile, words), strict=True
    ):
        assert page.status_code == usual.status_code, name
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert Tags(page.text).shape == Tags(usual.text).shape, name
        assert " ".join(words.split()) in " ".join(" ".join(Tags(page.text).words).split()) or name in (
            "leaving",
            "left",
        )
        links = [
            value
            for _, attributes in Tags(page.text).tags
            for key, value in attributes.items()
            if key in ("href", "action", "src")
        ]
        assert not [link for link in links if not link.startswith(("/", "https://reviews.example/"))], name
    with ledger.read() as conn:
        kept = invitation(conn, hostile)
    assert kept.answer.comment == words.strip(), "what is kept is what was written: whoever shows it escapes it"
    assert kept.answer.answers == {"reason": "price", "idea": words.strip()}
    assert kept.payload["first_name"] == words


@pytest.mark.parametrize(
    "words",
    [text for text in SCRIPTS.values() if "{{" not in text],
    ids=[name for name in SCRIPTS if name != "template"],
)
def test_no_word_of_a_programme_changes_the_shape_of_a_page(client, settings, invite, words) -> None:
    plain = invite("ada", definition=_definition("Plain", name="Plain"), **dict.fromkeys(NAMES, "Plain"))
    other = invite("eve", definition=_definition(words, name="Plain"), **dict.fromkeys(NAMES, "Plain"))
    for (name, usual), (_, page) in zip(
        _pages(client, settings, plain, ""), _pages(client, settings, other, ""), strict=True
    ):
        assert Tags(page.text).shape == Tags(usual.text).shape, name


@pytest.mark.parametrize("words", SCRIPTS.values(), ids=SCRIPTS)
def test_the_widgets_texts_are_data(settings, clock, invite, words) -> None:
    definition = _definition()
    folder = settings.home / "surveys"
    folder.mkdir()
    (folder / "post-close.yml").write_text(
        (settings.surveys / "post-close.yml").read_text() + "\nchannels: [email, in_app, portal]\n"
    )
    assert [survey.id for survey in load_surveys(folder)] == ["post-close"]
    invite("eve", definition=definition, **dict.fromkeys(NAMES, words))
    settings = settings.model_copy(update={"surveys": folder, "live_sending": True})
    with TestClient(create_app(settings, clock=clock), base_url=settings.collector_url) as client:
        context = make_context(SECRET, "eve", expires=clock.now().replace(year=2027))
        reply = client.post("/widget/show", data={"context": context}, headers={"Origin": APP})
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "application/json"
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert json.loads(reply.text)["question"].count(words.strip()) == len(NAMES) or not words.strip()
        portal = client.get(f"/portal/{context}")
        assert words not in portal.text


def test_scripts_of_ours_put_texts_in_as_texts() -> None:
    """`adoptNode` takes a page of ours over, which arrived under its own policy and was escaped on the server."""
    dangerous = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|setTimeout\(\s*[\"'`]|\.srcdoc|createContextualFragment|setHTMLUnsafe"
    for file in ("page.js", "widget.js"):
        script = (ASSETS / file).read_text()
        assert not re.findall(dangerous, script)
        assert "textContent" in script


@pytest.mark.parametrize("address", REDIRECTS.values(), ids=REDIRECTS)
@pytest.mark.parametrize("band", ["detractor", "passive", "promoter"])
def test_a_programme_leads_to_plain_web_addresses_only(band: str, address: str) -> None:
    from pydantic import ValidationError

    with pytest.raises(ValidationError, match="web address that begins with https"):
        asking_more(redirect={band: address})


def test_nothing_that_is_sent_decides_where_a_visitor_goes(client, settings, invite) -> None:
    ada = invite("ada", definition=_definition(redirect={"promoter": "https://reviews.example/x"}))
    tokens = {one: sign(settings.link_secret, ada, one) for one in Purpose}
    evil = "https://evil.test/"
    names = "next url redirect redirect_url redirect_uri return return_to returnTo goto dest continue onward to u r link href action base change preferences lang language host"
    asked = dict.fromkeys(names.split(), evil)
    headers = {
        "Host": "evil.test",
        "X-Forwarded-Host": "evil.test",
        "Referer": evil,
        "Forwarded": "host=evil.test",
        "X-Original-URL": evil,
    }
    paths = [
        f"/{letter}/{tokens[one]}" for letter, one in (("s", "survey"), ("u", "unsubscribe"), ("p", "preferences"))
    ]
    paths += [
        f"/s/{tokens['survey']}/more",
        "/preview/post-close",
        "/preview/post-close/widget",
        "/nowhere",
        "//evil.test",
        "/\\\\evil.test",
        "/s//evil.test",
    ]
    replies = []
    for path in paths:
        replies.append(client.get(path, params=asked, headers=headers, follow_redirects=False))
        form = {"score": "9", "surveys": "some", "at_most_every_days": ""}
        replies.append(client.post(path, params=asked, data=form, headers=headers, follow_redirects=False))
        replies.append(client.post(path, data=form | asked, headers=headers, follow_redirects=False))
    for reply in replies:
        assert not 300 <= reply.status_code < 400
        assert "location" not in reply.headers and "refresh" not in reply.headers
        for tag, attributes in Tags(reply.text).tags:
            leads = [attributes.get(name) or "" for name in ("href", "action", "src", "formaction", "srcset")]
            assert not [
                where
                for where in leads
                if where
                and not where.startswith(("/s/", "/u/", "/p/", "/preview/", "/widget.js", "https://reviews.example/x"))
            ], tag
            assert tag not in ("base", "iframe", "object", "embed") and "http-equiv" not in attributes
