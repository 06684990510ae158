"""Tokens: one invitation, one purpose, no way to make one up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedloop.links import BadLink, Purpose, read, score_link, sign, trap_link

ID = "0123456789abcdef0123456789abcdef"


@given(st.one_of(st.just(ID), st.text(min_size=1, max_size=64).filter(str.isprintable)))
def test_a_token_gives_its_invitation_back(invitation_id: str) -> None:
    for purpose in Purpose:
        token = sign("secret", invitation_id, purpose)
        assert read("secret", token, purpose) == invitation_id
        assert token.replace("~", "").replace("-", "").replace("_", "").replace(".", "").isalnum()


def test_a_token_is_good_for_one_purpose_and_one_key() -> None:
    token = sign("secret", ID, Purpose.SURVEY)
    for secret, purpose in (("secret", "unsubscribe"), ("secret", "open"), ("other", "survey")):
        with pytest.raises(BadLink):
            read(secret, token, purpose)


@given(st.integers(min_value=0, max_value=65), st.characters(codec="ascii"))
def test_no_changed_character_passes(place: int, character: str) -> None:
    token = sign("secret", ID, Purpose.SURVEY)
    forged = token[:place] + character + token[place + 1 :]
    try:
        assert read("secret", forged, Purpose.SURVEY) == ID
    except BadLink:
        assert forged != token
    else:
        assert forged == token


@pytest.mark.parametrize("token", ["", ".", "x", "a.b", "\u00e9.x", "~.", "=" * 66, "\x00"])
def test_nonsense_is_no_token(token: str) -> None:
    with pytest.raises(BadLink):
        read("secret", token, Purpose.SURVEY)


def test_links(settings) -> None:
    link = score_link(settings, ID, 10)
    assert link.startswith("http://127.0.0.1:8080/s/")
    assert link.endswith("?score=10")
    assert "?score=" not in trap_link(settings, ID)
