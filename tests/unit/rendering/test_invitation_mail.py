"""The invitation: eleven buttons, safe headers, readable colours, the same bytes for the same message."""

from __future__ import annotations

import datetime as dt
import email
import json
import re
from email import policy
from html import unescape
from html.parser import HTMLParser

import pytest

from closedloop.errors import BadInput
from closedloop.links import read
from closedloop.programme import TriggerEvent
from dispatch.rendering import EmailParts, render_invitation

WHEN = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)


class Links(HTMLParser):
    """All links and pictures of a page, as a browser sees them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[dict[str, str | None]] = []
        self.pictures: list[str] = []
        self.open_tables = 0
        self.tables_at_score: set[int] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "table":
            self.open_tables += 1
        if tag == "a":
            self.links.append(found)
            if "?score=" in (found["href"] or ""):
                self.tables_at_score.add(self.open_tables)
        if tag == "img":
            self.pictures.append(found["src"] or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self.open_tables -= 1


def parsed(parts: EmailParts) -> email.message.EmailMessage:
    return email.message_from_bytes(parts.as_bytes(date=WHEN), policy=policy.default)


def test_exactly_eleven_score_links_of_this_invitation(message, settings) -> None:
    parts = render_invitation(message(), settings=settings)
    html = parsed(parts).get_body(("html",)).get_content()
    page = Links(html)
    scores = [link["href"] for link in page.links if "?score=" in link["href"]]
    assert [int(href.rpartition("=")[2]) for href in scores] == list(range(11))
    for href in scores:
        token = re.fullmatch(r"http://127\.0\.0\.1:8080/s/([^/?]+)\?score=\d+", href)
        assert token
        assert read(settings.link_secret, token[1], "survey") == message()["invitation_id"]
    assert page.tables_at_score == {2}, "all buttons stand in the card"
    assert parts.as_bytes().count(b"?score=") == 11, "the text part links to the page, not to scores"


def test_the_trap_is_out_of_sight_and_no_twelfth_score(message, settings) -> None:
    page = Links(render_invitation(message(), settings=settings).html)
    [trap] = [link for link in page.links if link["href"].endswith("/more")]
    assert "display:none" in trap["style"]
    assert (trap["aria-hidden"], trap["tabindex"]) == ("true", "-1")


def test_it_says_who_asks_why_and_how_to_leave(message, settings) -> None:
    body = parsed(render_invitation(message(first_name="Ada"), settings=settings))
    for part in (body.get_body(("html",)).get_content(), body.get_body(("plain",)).get_content()):
        assert "Hello Ada," in part
        assert "How likely are you to recommend Northwind Cloud to a colleague or friend?" in part
        assert "because your company recently chose Northwind Cloud" in part
        assert "/u/" in part
        assert "Not at all likely" in part
        assert "Extremely likely" in part
    assert "/o/" in Links(body.get_body(("html",)).get_content()).pictures[0]


def test_headers(message, settings) -> None:
    mail = parsed(render_invitation(message(), settings=settings))
    assert mail["List-Unsubscribe"].startswith("<http://127.0.0.1:8080/u/")
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail["Message-ID"] == "<0123456789abcdef0123456789abcdef@closedloop.example>"
    assert mail["List-Id"].endswith("<post-close.surveys.closedloop.example>")
    assert mail["Feedback-ID"] == "post-close:invitation:closedloop"
    assert mail["From"].addresses[0].display_name == "Customer feedback"
    assert mail["Reply-To"] is None
    assert mail["Subject"] == "Sam, one short question from Northwind Cloud"


def test_the_same_message_is_the_same_bytes(message, settings) -> None:
    first, second = (render_invitation(message(), settings=settings).as_bytes(date=WHEN) for _ in range(2))
    assert first == second
    from_ledger = message() | {"payload": json.dumps(message()["payload"])}
    assert render_invitation(from_ledger, settings=settings).as_bytes(date=WHEN) == first
    assert all(len(line) <= 998 for line in first.split(b"\r\n"))
    assert b"\n" not in first.replace(b"\r\n", b"")


def test_in_the_name_of_the_rep(message, settings) -> None:
    rep = {"email": {"sender": "rep"}}
    mail = parsed(render_invitation(message(rep, owner_name="Zoë O'Hara"), settings=settings))
    [sender] = mail["From"].addresses
    assert (sender.display_name, sender.addr_spec) == ("Zoë O'Hara via Northwind Cloud", "feedback@closedloop.example")
    assert mail["Reply-To"].addresses[0].addr_spec == "robin.rep@closedloop.example"
    assert "Zoë O'Hara, Northwind Cloud" in mail.get_body(("plain",)).get_content()
    nobody = parsed(render_invitation(message(rep, owner_name="", owner_email=""), settings=settings))
    assert nobody["From"].addresses[0].display_name == "Customer feedback"


def test_without_a_first_name(message, settings) -> None:
    mail = parsed(render_invitation(message(first_name="", contact_name=""), settings=settings))
    assert mail["Subject"] == "One short question from Northwind Cloud"
    assert "Hello," in mail.get_body(("plain",)).get_content()


HOSTILE = [
    "<script>alert(1)</script>",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "\ue000survey\ue001",
    '"><img src=x>',
    "Ünï 名前 🎉",
    "a" * 300,
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_names(message, settings, name) -> None:
    mail = parsed(render_invitation(message(first_name=name, contact_name=name, company=name), settings=settings))
    html = mail.get_body(("html",)).get_content()
    page = Links(html)
    assert len([link for link in page.links if "?score=" in link["href"]]) == 11
    assert len(page.pictures) == 1
    assert "<script" not in html
    assert "49" not in mail["Subject"]
    assert name in mail.get_body(("plain",)).get_content()
    assert len(mail["To"].addresses) == 1


FORGED = [
    "Ada\r\nBcc: x@evil.example",
    "Ada\nX: y",
    "=?utf-8?q?Ada=0D=0ABcc:_x@evil.example?=",
    "=?utf-8?b?QWRhDQpCY2M6IHhAZXZpbC5leGFtcGxl?=",
    "Ada\x00Bcc",
    "Ada\u2028Bcc: x",
]


@pytest.mark.parametrize("value", FORGED)
@pytest.mark.parametrize("place", ["contact_name", "first_name", "owner_name", "owner_email", "email"])
def test_no_value_forges_a_header(message, settings, value, place) -> None:
    made = message({"email": {"sender": "rep"}}, **{place: value})
    with pytest.raises(BadInput) as caught:
        render_invitation(made, settings=settings)
    assert "evil" not in str(caught.value)


def test_a_harmless_encoded_word_is_shown_as_what_it_says(message, settings) -> None:
    mail = parsed(render_invitation(message(contact_name="=?utf-8?q?Zo=C3=AB?="), settings=settings))
    assert mail["To"].addresses[0].display_name == "Zoë"


@pytest.mark.parametrize(
    "address", ["", "ada", "a@b@c.example", "a b@c.example", "<a@c.example>", "a@c.example, d@e.example", "ä@c.example"]
)
def test_what_is_no_address_gets_no_mail(message, settings, address) -> None:
    with pytest.raises(BadInput):
        render_invitation(message(email=address), settings=settings)


@pytest.mark.parametrize(
    "subject",
    [
        "{{ first_nam }}",
        "{{ first_name.__class__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ first_name",
        "{{ 1 / 0 }}",
        "{% include 'x' %}",
    ],
)
def test_a_subject_that_cannot_be_filled_names_the_field(message, settings, subject) -> None:
    stored = message()  # a programme's file is refused earlier; a message may hold an older definition
    stored["payload"]["definition"]["email"]["subject"] = subject
    with pytest.raises(BadInput, match="email.subject") as caught:
        render_invitation(stored, settings=settings)
    assert "{{ first_name }}" in str(caught.value)


def test_a_logo_is_fetched_from_the_web_only(message, settings) -> None:
    for url, shown in (
        ("https://cdn.example/logo.png", True),
        ("javascript:alert(1)", False),
        ("file:///etc/passwd", False),
    ):
        html = render_invitation(message({"branding": {"logo_url": url}}), settings=settings).html
        assert (url in html) is shown


def test_a_long_question_is_encoded_and_whole(message, settings) -> None:
    question = "word " * 390
    mail = parsed(render_invitation(message({"question": {"text": question}}), settings=settings))
    assert question.strip() in " ".join(mail.get_body(("html",)).get_content().split())


GERMAN = {
    "languages": {
        "de": {
            "question": {"text": "Würden Sie {{ company }} weiterempfehlen?"},
            "email": {"subject": "{{ first_name }}, eine Frage"},
        },
        "ar": {"question": {"low_label": "لا"}},
    }
}


@pytest.mark.parametrize("language", ["de", "de_AT", "DE-ch"])
def test_the_mail_speaks_the_language_of_its_reader(message, settings, language) -> None:
    mail = parsed(render_invitation(message(GERMAN, language=language, first_name="Ada"), settings=settings))
    html = unescape(mail.get_body(("html",)).get_content())
    assert mail["Subject"] == "Ada, eine Frage"
    assert '<html lang="de" dir="ltr"' in html
    for part in (html, mail.get_body(("plain",)).get_content()):
        for words in ("Guten Tag Ada,", "Würden Sie Northwind Cloud", "Abmelden", "vor Kurzem für Northwind Cloud"):
            assert words in part
        assert "Not at all likely" in part, "a text without a translation is the programme's own"
        assert "You get this mail" not in part


def test_readers_of_two_languages_share_no_layout(message, settings) -> None:
    html = {
        language: render_invitation(message(GERMAN, language=language), settings=settings).html
        for language in ("de", "fr", "ar", "de")
    }
    assert [re.findall(r'<html lang="(\w+)" dir="(\w+)"', page) for page in html.values()] == [
        [("de", "ltr")],
        [("en", "ltr")],
        [("ar", "rtl")],
    ]


def test_a_mail_from_right_to_left_has_its_labels_on_their_sides(message, settings) -> None:
    html = render_invitation(message(GERMAN, language="ar"), settings=settings).html
    assert re.search(r'align="right"[^>]*>0 &ndash; لا', html)


@pytest.mark.parametrize("event", list(TriggerEvent))
def test_every_event_says_why_somebody_gets_the_mail(message, settings, event) -> None:
    text = render_invitation(message(trigger_event=event.value), settings=settings).text
    [reason] = re.findall(r"You get this mail because .+\.", text)
    assert "you are in contact" not in reason


def test_an_event_that_nobody_knows_is_no_reason_to_fail(message, settings) -> None:
    text = render_invitation(message(trigger_event="long_gone"), settings=settings).text
    assert "because you are in contact with Northwind Cloud." in text


def test_the_footer_has_address_and_privacy_where_they_are_set(message, settings) -> None:
    bare = render_invitation(message(), settings=settings)
    assert "Privacy" not in bare.html + bare.text
    told = {"postal_address": "1 <Main> Street, Springfield", "privacy_url": "https://acme.example/privacy?a=1&b=2"}
    mail = parsed(render_invitation(message(), settings=settings.model_copy(update=told)))
    page = Links(mail.get_body(("html",)).get_content())
    assert told["privacy_url"] in [link["href"] for link in page.links]
    for part in (unescape(mail.get_body(("html",)).get_content()), mail.get_body(("plain",)).get_content()):
        assert "Northwind Cloud, 1 <Main> Street, Springfield" in part


def test_from_the_address_of_the_rep_where_we_may_send_for_it(message, settings) -> None:
    rep = {"email": {"sender": "rep"}}
    allowed = settings.model_copy(update={"rep_address_domains": ["closedloop.example"]})
    parts = render_invitation(message(rep, owner_email="robin.rep@ClosedLoop.example"), settings=allowed)
    mail = parsed(parts)
    assert mail["From"].addresses[0].addr_spec == "robin.rep@ClosedLoop.example"
    assert mail["From"].addresses[0].display_name == "Robin Rep"
    assert mail["Sender"].address.addr_spec == parts.envelope_from == "feedback@closedloop.example"
    assert mail["Reply-To"] is None
    for elsewhere in ("robin@sub.closedloop.example", "robin@evilclosedloop.example"):
        other = parsed(render_invitation(message(rep, owner_email=elsewhere), settings=allowed))
        assert other["From"].addresses[0].addr_spec == "feedback@closedloop.example"
        assert other["Sender"] is None
        assert other["Reply-To"].addresses[0].addr_spec == elsewhere
    shared = parsed(render_invitation(message(), settings=allowed))
    assert shared["From"].addresses[0].addr_spec == "feedback@closedloop.example"
