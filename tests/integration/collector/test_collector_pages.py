"""What respondents meet, over HTTP: answers, changes of mind, refusals, unsubscribing."""

from __future__ import annotations

import datetime as dt
import re

import pytest
from sqlalchemy import func, select
from starlette.testclient import TestClient

from closedloop.ledger.answers import invitation
from closedloop.ledger.schema import events, suppressions
from closedloop.links import Purpose, open_link, score_link, sign, survey_link, trap_link, unsubscribe_link
from ingestion.collector.app import create_app

SCRIPT = {"Accept": "application/json"}


def standing(ledger, invitation_id: str):
    with ledger.read() as conn:
        found = invitation(conn, invitation_id)
    assert found is not None
    return found.answer


def counted(ledger) -> dict[str, int]:
    with ledger.read() as conn:
        return dict(conn.execute(select(events.c.kind, func.count()).group_by(events.c.kind)).tuples().all())


def test_a_get_writes_hits_and_nothing_else(client, ledger, settings, invite) -> None:
    ada = invite("ada")
    before = counted(ledger)
    for score in range(11):
        assert client.get(score_link(settings, ada, score)).status_code == 200
    assert client.head(score_link(settings, ada, 3)).status_code == 200
    assert client.get(survey_link(settings, ada)).status_code == 200
    assert client.get(trap_link(settings, ada)).status_code == 200
    assert client.get(unsubscribe_link(settings, ada)).status_code == 200
    pixel = client.get(open_link(settings, ada))
    assert (pixel.status_code, pixel.headers["content-type"]) == (200, "image/gif")
    after = counted(ledger)
    assert {kind: after[kind] - before.get(kind, 0) for kind in after} == {"clicked": 13, "viewed": 1, "opened": 1}
    assert standing(ledger, ada) is None
    with ledger.read() as conn:
        assert conn.scalar(select(func.count()).select_from(suppressions)) == 0


def test_the_score_of_the_mail_is_chosen_on_the_page(client, settings, invite) -> None:
    page = client.get(score_link(settings, invite("ada"), 9)).text
    assert re.findall(r'value="(\d+)"[^>]* checked', page) == ["9"]
    assert len(re.findall(r'type="radio"', page)) == 11
    assert '<html lang="en" dir="ltr">' in page


@pytest.mark.parametrize(
    ("sent", "judged"), [({"input": "human"}, "human"), ({}, "provisional"), ({"input": "HUMAN"}, "provisional")]
)
def test_an_answer_is_judged_by_what_the_page_saw(client, ledger, settings, invite, sent, judged) -> None:
    ada = invite("ada")
    reply = client.post(survey_link(settings, ada), data={"score": "9", "visible_ms": "2100", **sent}, headers=SCRIPT)
    assert (reply.status_code, reply.json()) == (200, {"status": "recorded", "score": 9})
    assert (standing(ledger, ada).score, standing(ledger, ada).judged) == (9, judged)


def test_a_submitted_form_is_thanked_for_in_the_words_of_its_band(client, ledger, settings, invite) -> None:
    ada = invite("ada")
    data = {"score": "3", "comment": "Too slow.\r\nReally.", "input": "human"}
    page = client.post(survey_link(settings, ada), data=data)
    assert page.status_code == 200
    assert "Thank you for your honesty" in page.text
    assert (standing(ledger, ada).score, standing(ledger, ada).comment) == (3, "Too slow.\nReally.")


def test_a_mind_can_be_changed_for_a_day_and_then_the_answer_stands(client, ledger, settings, invite, clock) -> None:
    ada = invite("ada")
    link = survey_link(settings, ada)
    client.post(link, data={"score": "9", "input": "human"})
    clock.time += dt.timedelta(hours=23)
    assert "You answered 9 of 10. You can change it until" in client.get(link).text
    client.post(link, data={"score": "4", "input": "human"})
    assert standing(ledger, ada).score == 4
    clock.time += dt.timedelta(hours=2)
    assert "Your answer stands" in client.get(score_link(settings, ada, 10)).text
    late = client.post(link, data={"score": "10", "input": "human"})
    assert (late.status_code, "You answered 4 of 10" in late.text) == (409, True)
    assert client.post(link, data={"score": "10", "input": "human"}, headers=SCRIPT).status_code == 409
    assert standing(ledger, ada).score == 4


def test_a_machine_never_overwrites_a_person(client, ledger, settings, invite) -> None:
    ada = invite("ada")
    client.post(survey_link(settings, ada), data={"score": "9", "input": "human"})
    reply = client.post(survey_link(settings, ada), data={"score": "0"}, headers=SCRIPT)
    assert reply.json() == {"status": "recorded", "score": 9}
    assert standing(ledger, ada).score == 9


@pytest.mark.parametrize("score", ["11", "-1", "9.0", "", "nine", "\u0669", "9 ", "1e1", "007"])
def test_a_wrong_score_is_named_and_nothing_is_written(client, ledger, settings, invite, score) -> None:
    ada = invite("ada")
    before = counted(ledger)
    page = client.post(survey_link(settings, ada), data={"score": score, "comment": "my <b>words</b>"})
    assert page.status_code == 422
    assert "from 0 to 10" in page.text
    assert "my &lt;b&gt;words&lt;/b&gt;</textarea>" in page.text
    script = client.post(survey_link(settings, ada), data={"score": score}, headers=SCRIPT)
    assert (script.status_code, script.json()["field"]) == (422, "score")
    assert (counted(ledger), standing(ledger, ada)) == (before, None)


def test_a_long_comment_is_refused_with_its_words_kept_and_the_longest_is_taken(
    client, ledger, settings, invite
) -> None:
    ada = invite("ada")
    page = client.post(survey_link(settings, ada), data={"score": "9", "comment": "x" * 5001})
    assert page.status_code == 422
    assert "5,000 characters" in page.text
    assert "x" * 5001 in page.text
    # As browsers send it: 5,000 characters of three bytes each fit.
    longest = "\u8a9e" * 4998 + "\r\n" + "!"
    page = client.post(survey_link(settings, ada), files={"score": (None, "9"), "comment": (None, longest.encode())})
    assert page.status_code == 200
    assert standing(ledger, ada).comment == longest.replace("\r\n", "\n")


def test_a_body_over_32_kb_is_refused(client, ledger, settings, invite) -> None:
    ada = invite("ada")
    for body in ({"score": "9", "comment": "x" * 40_000}, {"score": "9", **{f"f{n}": "x" * 2000 for n in range(19)}}):
        assert client.post(survey_link(settings, ada), data=body).status_code == 413
    assert (
        client.post(survey_link(settings, ada), data={"score": "9", **{f"f{n}": "" for n in range(1000)}}).status_code
        == 400
    )
    assert (
        client.post(
            survey_link(settings, ada), content=b"\xff\x00{", headers={"Content-Type": "application/json"}
        ).status_code
        == 422
    )
    broken = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post(survey_link(settings, ada), content=b"--y\r\nnonsense", headers=broken).status_code in (400, 422)
    assert standing(ledger, ada) is None


def test_hostile_words_are_shown_as_words(client, settings, invite) -> None:
    eve = invite("eve", first_name="<script>alert(1)</script>", company='"><img src=x onerror=alert(1)>')
    page = client.get(score_link(settings, eve, 9))
    assert "<img src=x" not in page.text
    assert "&lt;img src=x onerror=alert(1)&gt;" in page.text


def test_links_that_lead_nowhere(client, ledger, settings, invite, clock) -> None:
    ada, old = invite("ada"), invite("old", valid_days=1)
    token = sign(settings.link_secret, ada, Purpose.SURVEY)
    flipped = token[:-2] + ("AA" if token[-2:] != "AA" else "BB")
    for path in (
        f"/s/{flipped}",
        "/s/x",
        f"/s/{sign(settings.link_secret, ada, Purpose.UNSUBSCRIBE)}",
        f"/u/{token}",
        "/nothing",
    ):
        page = client.get(path)
        assert page.status_code == 404
        assert "This link does not work" in page.text
    assert client.get(survey_link(settings, "0" * 32)).status_code == 404
    assert client.post(survey_link(settings, "0" * 32), data={"score": "9"}).status_code == 404
    assert client.post(unsubscribe_link(settings, "0" * 32)).status_code == 404
    clock.time += dt.timedelta(days=2)
    assert client.get(score_link(settings, old, 9)).status_code == 410
    assert client.post(survey_link(settings, old), data={"score": "9"}).status_code == 410
    assert client.post(survey_link(settings, old), data={"score": "9"}, headers=SCRIPT).status_code == 410
    assert standing(ledger, old) is None
    # Leaving is possible for ever.
    assert client.post(unsubscribe_link(settings, old)).status_code == 200


def test_unsubscribing_takes_one_post_and_no_get(client, ledger, settings, invite) -> None:
    ada = invite("ada")
    link = unsubscribe_link(settings, ada)
    assert "<button" in client.get(link).text
    reply = client.post(link, data={"List-Unsubscribe": "One-Click"})
    assert (reply.status_code, "You are unsubscribed" in reply.text) == (200, True)
    assert "already unsubscribed" in client.get(link).text
    assert client.post(link).status_code == 200
    assert counted(ledger)["unsubscribed"] == 1
    with ledger.read() as conn:
        assert conn.scalars(select(suppressions.c.reason)).all() == ["unsubscribed"]


def test_every_page_is_closed_to_what_is_not_its_own(client, settings, invite) -> None:
    ada = invite("ada")
    pages = [score_link(settings, ada, 9), unsubscribe_link(settings, ada), "/s/wrong", "/preview/post-close"]
    for page in map(client.get, pages):
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert ("frame-ancestors 'self'" if "preview" in str(page.url) else "frame-ancestors 'none'") in policy
        assert page.headers["referrer-policy"] == "no-referrer"
        assert page.headers["x-content-type-options"] == "nosniff"
        assert page.headers["cache-control"] == "no-store"
        assert "set-cookie" not in page.headers
        assert "style=" not in page.text, "an inline style would be blocked by the policy"


def test_a_preview_records_nothing(client, ledger, settings) -> None:
    page = client.get("/preview/support?score=8")
    assert page.status_code == 200
    assert "Nothing is recorded" in page.text
    assert "Nothing is recorded" in client.post("/preview/support", data={"score": "8"}).text
    assert client.get("/preview/none").status_code == 404
    sample = survey_link(settings, "sample-support")  # the links of `survey test-send`
    assert "Nothing is recorded" in client.get(sample + "?score=8").text
    assert "Nothing is recorded" in client.post(sample, data={"score": "8"}).text
    assert counted(ledger) == {}


def test_health_and_metrics(client, settings, invite) -> None:
    ada = invite("ada")
    client.get(score_link(settings, ada, 9))
    client.post(survey_link(settings, ada), data={"score": "9", "input": "human"})
    assert client.get("/healthz").json() == {"status": "ok"}
    text = client.get("/metrics").text
    assert 'closedloop_collector_answers_total{judged="human"} 1' in text
    assert 'closedloop_collector_hits_total{kind="clicked"} 1' in text
    assert "closedloop_collector_queue_depth 0" in text
    assert ada not in text


def test_only_previews_may_stand_in_a_frame_and_only_in_ours(client, settings, invite) -> None:
    for path in ("/preview/support", "/preview/support/widget"):
        page = client.get(path)
        assert page.headers["X-Frame-Options"] == "SAMEORIGIN"
        assert "frame-ancestors 'self'" in page.headers["Content-Security-Policy"]
    real = client.get(score_link(settings, invite("ada"), 9))
    for page in (real, client.get("/preview/support/all")):
        assert page.headers["X-Frame-Options"] == "DENY"
        assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]


def test_without_a_maker_of_mails_there_is_no_preview_of_mails(client) -> None:
    assert client.get("/preview/support/mail").status_code == 404
    assert "show=mail" not in client.get("/preview/support/all").text


def test_a_preview_of_mails_runs_nothing(settings, ledger) -> None:
    with TestClient(create_app(settings, mail_of=lambda survey, language: f"<p>{survey.id} {language}</p>")) as client:
        mail = client.get("/preview/support/mail?language=de")
    assert mail.text == "<p>support de</p>"
    policy = mail.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "sandbox" in policy and "script" not in policy
