"""A programme's texts reach nothing but a person's values, and keep nobody busy."""

from __future__ import annotations

import resource
import time

import pytest

from closedloop.errors import BadInput
from closedloop.programme import load_surveys
from closedloop.texts import MAX_LENGTH, SAMPLE, fill
from tests.support.hostile import BOMBS, SCRIPTS, TEMPLATES

VALUES = SAMPLE | {"company": "Sample Company", "contact_name": ""}


@pytest.mark.parametrize("text", TEMPLATES.values(), ids=TEMPLATES)
def test_what_a_text_may_not_do_is_refused_and_the_field_named(text: str) -> None:
    with pytest.raises(BadInput, match="email.subject"):
        fill(text, VALUES, field="email.subject")


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_no_text_keeps_the_machine_busy_or_fills_its_memory(text: str) -> None:
    before, started = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        assert len(fill(text, VALUES)) <= MAX_LENGTH
    except BadInput as error:
        assert len(str(error)) < 1_000
    assert time.process_time() - started < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024, "kB"


@pytest.mark.parametrize("text", [*TEMPLATES.values(), BOMBS["repeated-text"]], ids=[*TEMPLATES, "bomb"])
def test_such_a_programme_is_refused_when_it_is_read(tmp_path, text: str) -> None:
    (tmp_path / "bad.yml").write_text(
        "id: post-close\nname: Post-Close\ntype: transactional\nstatus: active\ncompany: Northwind\n"
        f"triggers: [{{event: deal_won}}]\nthank_you:\n  promoter: |-\n    {text}\n"
    )
    with pytest.raises(BadInput, match="thank_you.promoter"):
        load_surveys(tmp_path)


@pytest.mark.parametrize("text", [*TEMPLATES.values(), *SCRIPTS.values()], ids=[*TEMPLATES, *SCRIPTS])
def test_what_a_person_is_called_is_never_read_as_a_template(text: str) -> None:
    assert (
        fill("{{ first_name }}|{{ company }}", {"first_name": text, "company": "{{ 7 * 7 }}"})
        == f"{text}|{{{{ 7 * 7 }}}}"
    )


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{{ first_name|upper }}!", "ALEX!"),
        ("{{ contact_name|default('you', true) }}", "you"),
        ("{% if csm_name %}{{ csm_name }} asks{% elif owner_name %}x{% else %}We ask{% endif %}", "Kim Success asks"),
        ("{{ 'Dear ' if first_name == 'Alex' and not contact_name else '' }}{{ first_name }}", "Dear Alex"),
        ("{# why #}{{ company }}", "Sample Company"),
    ],
    ids=["filter", "default", "if", "condition", "comment"],
)
def test_what_texts_may_hold(text: str, filled: str) -> None:
    assert fill(text, VALUES) == filled


def test_a_long_name_makes_a_text_shorter_and_no_error() -> None:
    assert fill("{{ first_name }}: hello", {"first_name": "x" * 5_000}) == "x" * MAX_LENGTH
    with pytest.raises(BadInput, match="longer than"):
        fill("x" * (MAX_LENGTH + 1), VALUES)
