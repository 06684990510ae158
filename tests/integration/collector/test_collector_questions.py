"""Further questions, a way onward and other languages, over HTTP."""

from __future__ import annotations

import datetime as dt
import re

import pytest
import yaml
from sqlalchemy import select
from starlette.testclient import TestClient

from closedloop.ledger.answers import invitation
from closedloop.ledger.schema import events
from closedloop.links import score_link, survey_link, unsubscribe_link
from ingestion.collector.app import create_app
from tests.support.asking_more import asking_more

SCRIPT = {"Accept": "application/json"}
DEFINITION = asking_more().model_dump(mode="json")


@pytest.fixture
def ada(invite) -> str:
    return invite("ada", definition=DEFINITION)


def standing(ledger, invitation_id: str):
    with ledger.read() as conn:
        found = invitation(conn, invitation_id)
    assert found is not None
    return found.answer


def checked(page: str) -> list[tuple[str, str]]:
    """Name and value of what is chosen on a page, the score aside."""
    return re.findall(r'name="([a-z]+:[0-9-]+)" value="(\w+)" checked', page)


def test_every_question_stands_in_the_page_for_its_scores(client, settings, ada) -> None:
    page = client.get(score_link(settings, ada, 3)).text
    assert re.findall(r"<legend class=\"question\">.*?</span>([^<]+)</legend>", page) == [
        "What went wrong?",
        "What went well?",
    ]
    assert "after-0 after-1 after-2 after-3 after-4 after-5 after-6" in page
    assert len(re.findall(r'<input type="radio" name="reason:0-6"', page)) == 2
    assert len(re.findall(r'<input type="checkbox" name="reason:9-10"', page)) == 2
    assert '<textarea id="idea:0-10" name="idea:0-10"' in page
    assert checked(page) == []


def test_answers_are_kept_as_data_and_come_back_with_the_page(client, ledger, settings, ada) -> None:
    link = survey_link(settings, ada)
    form = {
        "score": "9",
        "comment": "Fine.",
        "reason:0-6": ["", "price"],
        "reason:9-10": ["", "speed", "people"],
        "idea:0-10": "More <b>tea</b>",
        "input": "human",
    }
    assert client.post(link, data=form).status_code == 200
    assert standing(ledger, ada).answers == {"reason": ["people", "speed"], "idea": "More <b>tea</b>"}
    with ledger.read() as conn:
        said = conn.scalars(select(events.c.payload).where(events.c.kind == "answered")).all()
    assert ['"completed":true' in one.replace(" ", "") for one in said] == [True]
    page = client.get(link).text
    assert checked(page) == [("reason:9-10", "people"), ("reason:9-10", "speed")]
    assert ">More &lt;b&gt;tea&lt;/b&gt;</textarea>" in page
    assert ">Fine.</textarea>" in page


def test_the_score_that_the_page_posts_by_itself_takes_nothing_back(client, ledger, settings, ada) -> None:
    link = survey_link(settings, ada)
    client.post(
        link, data={"score": "3", "comment": "Slow.", "reason:0-6": "price", "idea:0-10": "Tea", "input": "human"}
    )
    for _ in range(2):
        assert client.post(link, data={"score": "3", "input": "human"}, headers=SCRIPT).status_code == 200
        assert (standing(ledger, ada).comment, standing(ledger, ada).answers) == (
            "Slow.",
            {"reason": "price", "idea": "Tea"},
        )
    # Another score: what was asked after the old one only is no answer any more, the rest stays.
    client.post(link, data={"score": "4", "input": "human"}, headers=SCRIPT)
    assert standing(ledger, ada).answers == {"reason": "price", "idea": "Tea"}
    client.post(link, data={"score": "10", "input": "human"}, headers=SCRIPT)
    assert (standing(ledger, ada).score, standing(ledger, ada).answers) == (10, {"idea": "Tea"})


def test_the_comment_comes_back_where_the_same_question_is_asked(client, settings, ada) -> None:
    client.post(survey_link(settings, ada), data={"score": "3", "comment": "Slow.", "input": "human"})
    assert ">Slow.</textarea>" in client.get(score_link(settings, ada, 4)).text
    assert "Slow." not in client.get(score_link(settings, ada, 9)).text


def test_what_is_emptied_is_taken_back(client, ledger, settings, ada) -> None:
    link = survey_link(settings, ada)
    client.post(
        link, data={"score": "9", "comment": "Fine.", "reason:9-10": "people", "idea:0-10": "Tea", "input": "human"}
    )
    client.post(link, data={"score": "9", "comment": "", "reason:9-10": "", "idea:0-10": "Tea", "input": "human"})
    assert (standing(ledger, ada).comment, standing(ledger, ada).answers) == (None, {"idea": "Tea"})


@pytest.mark.parametrize(
    ("posted", "words"),
    [
        ({"reason:0-6": "cheap"}, "cannot be chosen here"),
        ({"reason:0-6": ["price", "support"]}, "only one answer"),
        ({"why": "price"}, "does not have that question"),
        ({"idea:0-10": "x" * 2001}, "longer than 2,000 characters"),
    ],
)
def test_a_wrong_answer_is_refused_kindly_and_nothing_is_written(client, ledger, settings, ada, posted, words) -> None:
    link = survey_link(settings, ada)
    form = {"score": "3", "comment": "my words", "idea:0-10": "my idea", "reason:9-10": "speed"} | posted
    page = client.post(link, data=form)
    assert page.status_code == 422
    assert words in page.text
    assert ">my words</textarea>" in page.text
    assert form["idea:0-10"] in page.text
    assert re.findall(r'name="score" value="(\d+)"[^>]* checked', page.text) == ["3"]
    reply = client.post(link, data=form, headers=SCRIPT)
    assert (reply.status_code, words in reply.json()["problem"]) == (422, True)
    assert standing(ledger, ada) is None


def test_a_refused_answer_is_no_failure_of_the_commit_that_it_came_with(client, settings, ada) -> None:
    assert client.post(survey_link(settings, ada), data={"score": "3", "reason": "x"}).status_code == 422
    assert "closedloop_collector_failed_commits_total 0" in client.get("/metrics").text


def test_thanks_come_first_and_then_a_way_onward_for_its_band(client, settings, ada) -> None:
    happy = client.post(survey_link(settings, ada), data={"score": "10", "input": "human"})
    assert (
        '<a class="button" href="https://reviews.example/northwind?from=nps&amp;x=1" rel="noopener noreferrer">'
        "Continue to reviews.example</a>" in happy.text
    )
    assert "Thank you!" in happy.text
    assert "location" not in happy.headers
    assert "refresh" not in happy.text.lower()
    assert "reviews.example" not in happy.headers["content-security-policy"]
    unhappy = client.post(survey_link(settings, ada), data={"score": "2", "input": "human"})
    assert "reviews.example" not in unhappy.text


@pytest.mark.parametrize("language", ["de", "de_AT", "DE-ch"])
def test_the_pages_speak_the_language_of_their_reader(client, settings, invite, clock, language) -> None:
    ada = invite("ada", definition=DEFINITION, language=language, first_name="Ada")
    page = client.get(score_link(settings, ada, 3)).text
    assert '<html lang="de' in page
    for words in (
        "Würden Sie",
        "Antwort senden",
        "Was lief schief?",
        "Der Preis",
        "Was lief gut?",
        "Sie haben 3 gewählt.",
    ):
        assert words in page
    assert "What would you change?" in page, "a text without a translation is the programme's own"
    assert "Send answer" not in page
    refused = client.post(survey_link(settings, ada), data={"score": "3", "reason": "x"})
    assert "Bitte wählen Sie noch einmal" in refused.text
    thanks = client.post(survey_link(settings, ada), data={"score": "9", "input": "human"}).text
    assert "Das freut uns, Ada!" in thanks
    assert "Weiter zu reviews.example" in thanks
    clock.time += dt.timedelta(hours=1)
    assert "bis 3. März 2026, 09:00 UTC" in client.get(survey_link(settings, ada)).text
    clock.time += dt.timedelta(hours=25)
    assert "am 2. März 2026, 09:00 UTC" in client.get(survey_link(settings, ada)).text
    assert "Keine Umfragen mehr von" in client.get(unsubscribe_link(settings, ada)).text
    assert "Sie sind abgemeldet" in client.post(unsubscribe_link(settings, ada)).text


def test_a_page_from_right_to_left(client, settings, invite) -> None:
    page = client.get(survey_link(settings, invite("ada", definition=DEFINITION, language="ar"))).text
    assert '<html lang="ar" dir="rtl">' in page
    assert "هل توصي بنا؟" in page


@pytest.mark.parametrize(
    ("accepted", "words"),
    [("de-AT,en;q=0.5", "Dieser Link"), ("ko, nl;q=0.8", "Deze link"), ("", "This link"), ("*", "This link")],
)
def test_a_link_to_nowhere_answers_in_the_browsers_language(client, accepted, words) -> None:
    assert words in client.get("/s/nowhere", headers={"Accept-Language": accepted}).text


@pytest.fixture
def previewing(settings, clock, tmp_path):
    """The collector over a folder with the one programme."""
    facts = asking_more().model_dump(mode="json", exclude_defaults=True)
    facts["triggers"] = [{"event": "deal_won"}]
    (tmp_path / "post-close.yml").write_text(yaml.safe_dump(facts, allow_unicode=True), encoding="utf-8")
    settings = settings.model_copy(update={"surveys": tmp_path})
    with TestClient(create_app(settings, clock=clock), base_url=settings.collector_url) as client:
        yield client


def test_a_preview_shows_every_language_and_what_follows_a_score(previewing, ledger) -> None:
    page = previewing.get("/preview/post-close?language=de&score=10").text
    assert '<html lang="de" dir="ltr">' in page
    assert "Vorschau" in page
    assert "Was lief gut?" in page
    assert re.findall(r'<a href="([^"]+)" lang="de-CH"', page) == ["/preview/post-close?language=de-CH&amp;score=10"]
    [action] = re.findall(r'action="([^"]+)"', page)
    thanks = previewing.post(action, data={"score": "10", "reason:9-10": "speed", "idea:0-10": "Tea"}).text
    assert "Das freut uns, Alex!" in thanks
    assert "Weiter zu reviews.example" in thanks
    refused = previewing.post(action, data={"score": "10", "reason:9-10": "price"})
    assert refused.status_code == 422
    with ledger.read() as conn:
        assert conn.scalars(select(events.c.kind)).all() == []
