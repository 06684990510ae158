"""No name and no address adds a header, a recipient or a body to a mail, raw or once a mail program has decoded it."""

from __future__ import annotations

import email
from email import policy
from email.header import decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedloop.errors import BadInput
from dispatch.rendering import EmailParts, render_alert, render_invitation
from dispatch.rendering.headers import mailbox, one_line, text_header
from tests.support.hostile import ADDRESSES, HEADERS, QUIET_HEADERS

REP = {"email": {"sender": "rep"}}
NAMES = ("contact_name", "first_name", "last_name", "account_name", "company", "owner_name", "csm_name")
INVITATION = {
    *(
        "Message-ID",
        "Date",
        "From",
        "To",
        "Reply-To",
        "Subject",
        "List-Unsubscribe",
        "List-Unsubscribe-Post",
        "List-Id",
    ),
    *("Feedback-ID", "X-Closedloop-Kind", "X-Closedloop-Id", "MIME-Version", "Content-Type"),
}
ALERT = {
    *("Message-ID", "Date", "From", "To", "Cc", "Subject", "Auto-Submitted", "X-Auto-Response-Suppress", "Importance"),
    *("X-Closedloop-Kind", "X-Closedloop-Id", "MIME-Version", "Content-Type"),
}
TEXTS = {
    "subject": "{{ first_name }} {{ last_name }} {{ contact_name }} {{ account_name }} {{ company }} {{ csm_name }}"
}


def _headers(parts: EmailParts) -> dict[str, str]:
    """The headers as a mail program sees them, once encoded words are decoded, from the bytes that go out."""
    data = parts.as_bytes()
    head = data.partition(b"\r\n\r\n")[0]
    assert b"\r" not in head.replace(b"\r\n", b"") and b"\n" not in head.replace(b"\r\n", b"")
    assert head.isascii() and b"\x00" not in head
    assert all(len(line) <= 998 for line in head.split(b"\r\n"))
    mail = email.message_from_bytes(data, policy=policy.compat32)
    assert not mail.defects
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.get_payload()] == ["text/plain", "text/html"]
    names = mail.keys()
    assert len(names) == len(set(names))
    found = {name: str(make_header(decode_header(value.replace("\r\n", "")))) for name, value in mail.items()}
    for name, value in found.items():
        assert value.replace("\u202e", "").replace("\u202c", "").isprintable(), name
    return found


def _mailboxes(parts: EmailParts, name: str) -> list[str]:
    mail = email.message_from_bytes(parts.as_bytes(), policy=policy.default)
    return [one.addr_spec for one in mail[name].addresses]


@pytest.mark.parametrize("value", HEADERS.values(), ids=HEADERS)
@pytest.mark.parametrize("place", NAMES)
def test_a_name_that_would_begin_a_header_stops_the_mail(message, settings, place, value) -> None:
    survey = REP | {"email": REP["email"] | TEXTS}
    with pytest.raises(BadInput) as caught:
        render_invitation(message(survey, **{place: value}), settings=settings)
    assert "victim" not in str(caught.value) and "Ada" not in str(caught.value)


@pytest.mark.parametrize("value", QUIET_HEADERS.values(), ids=QUIET_HEADERS)
@pytest.mark.parametrize("place", NAMES)
def test_a_name_that_looks_like_an_address_is_a_name(message, settings, place, value) -> None:
    survey = REP | {"email": REP["email"] | TEXTS}
    try:
        parts = render_invitation(message(survey, **{place: value}), settings=settings)
    except BadInput:  # an encoded word that nobody can decode
        assert "=?" in value
        return
    assert _headers(parts).keys() == INVITATION
    assert parts.recipients == tuple(_mailboxes(parts, "To")) == ("ada@customer.example",)
    assert _mailboxes(parts, "From") == [parts.envelope_from] == ["feedback@closedloop.example"]
    assert _mailboxes(parts, "Reply-To") == ["robin.rep@closedloop.example"]


@pytest.mark.parametrize("value", [*HEADERS.values(), *QUIET_HEADERS.values()], ids=[*HEADERS, *QUIET_HEADERS])
@pytest.mark.parametrize(
    "place", ["contact_name", "account_name", "survey_name", "comment", "contact_email", "company"]
)
def test_an_alert_goes_out_whatever_somebody_is_called_and_to_nobody_else(alert, settings, place, value) -> None:
    alert["payload"][place] = value
    parts = render_alert(alert, settings=settings)
    assert _headers(parts).keys() == ALERT
    assert parts.recipients == ("robin.rep@closedloop.example", "morgan@closedloop.example")
    assert (_mailboxes(parts, "To"), _mailboxes(parts, "Cc")) == ([parts.recipients[0]], [parts.recipients[1]])
    assert "\n" not in one_line(value) and "=?" not in one_line(value)


@pytest.mark.parametrize("value", ADDRESSES.values(), ids=ADDRESSES)
def test_what_is_not_one_plain_address_is_written_to_by_nobody(message, alert, settings, value) -> None:
    for place in ("email", "owner_email"):
        with pytest.raises(BadInput) as caught:
            render_invitation(message(REP, **{place: value}), settings=settings)
        assert "victim" not in str(caught.value)
    for place, given_value in (("email", value), ("cc", [value])):
        with pytest.raises(BadInput):
            render_alert(alert | {"payload": alert["payload"] | {place: given_value}}, settings=settings)


@pytest.mark.parametrize(
    "address", ["ada?bcc=victim@evil.test", "ada&cc=x@customer.example", "ada%0d%0abcc@customer.example"]
)
def test_the_link_to_write_to_a_customer_writes_to_nobody_else(alert, settings, address) -> None:
    alert["payload"]["contact_email"] = address
    [link] = [part.partition('"')[0] for part in render_alert(alert, settings=settings).html.split('href="mailto:')[1:]]
    assert not {"?", "&"} & set(link)
    assert "%0d" not in link


@given(st.text(max_size=300))
def test_no_text_at_all_makes_two_lines(value: str) -> None:
    for make in (lambda text: text_header(text, "Subject"), lambda text: mailbox(text, "ada@customer.example", "To")):
        for text in (value, one_line(value)):
            try:
                made = make(text)
            except BadInput:
                assert text is value
                continue
            assert made.isascii()
            assert not made.replace("\r\n ", "").strip(" ").count("\n") and "\r" not in made.replace("\r\n ", "")
