"""Keys change, and links that are out stay good until their key is dropped."""

from __future__ import annotations

import datetime as dt
import stat

import pytest

from closedloop.contexts import BadContext, make_context, read_context
from closedloop.errors import BadInput
from closedloop.keys import drop, fingerprint, keys_of, rotate
from closedloop.links import BadLink, Purpose, read, sign
from closedloop.settings import Settings

ID = "0123456789abcdef0123456789abcdef"
NOW = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)


def test_a_new_key_signs_and_the_old_one_still_opens_until_it_is_dropped(settings: Settings) -> None:
    before = sign(settings.link_secret, ID, Purpose.SURVEY)
    old = fingerprint(settings.link_secret)

    new = rotate(settings.keys_file)

    after = sign(settings.link_secret, ID, Purpose.SURVEY)  # the same settings object: a running process
    assert [fingerprint(key) for key in keys_of(settings.link_secret)] == [new, old]
    assert after != before
    assert read(settings.link_secret, before, Purpose.SURVEY) == read(settings.link_secret, after, Purpose.SURVEY) == ID
    assert stat.S_IMODE(settings.keys_file.stat().st_mode) == 0o600

    drop(settings.keys_file, old)
    assert read(settings.link_secret, after, Purpose.SURVEY) == ID
    with pytest.raises(BadLink):
        read(settings.link_secret, before, Purpose.SURVEY)


def test_the_key_that_signs_and_one_that_is_not_there_cannot_be_dropped(settings: Settings) -> None:
    signing = fingerprint(settings.link_secret)
    for which, problem in ((signing, "signs links now"), ("0123", "no such key")):
        with pytest.raises(BadInput, match=problem):
            drop(settings.keys_file, which)
    assert fingerprint(settings.link_secret) == signing


def test_keys_of_the_environment_and_of_contexts_follow_each_other_in_one_text(settings: Settings) -> None:
    old = settings.model_copy(update={"secret_key": "old-key"})
    both = settings.model_copy(update={"secret_key": "new-key old-key"})
    assert read(both.link_secret, sign(old.link_secret, ID, Purpose.OPEN), Purpose.OPEN) == ID
    with pytest.raises(BadLink):
        read(old.link_secret, sign(both.link_secret, ID, Purpose.OPEN), Purpose.OPEN)

    expires = NOW + dt.timedelta(hours=1)
    assert read_context("new old", make_context("old", "003A", expires=expires), now=NOW) == "003A"
    with pytest.raises(BadContext):
        read_context("old", make_context("new old", "003A", expires=expires), now=NOW)
    with pytest.raises(BadContext):
        read_context("", make_context("old", "003A", expires=expires), now=NOW)
