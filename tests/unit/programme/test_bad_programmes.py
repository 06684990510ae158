"""Every bad programme is refused with file, line, field, what is wrong and what to do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from closedloop.errors import BadInput
from closedloop.programme import load_surveys

GOOD = """\
id: post-close
name: Post-Close
type: transactional
status: active
company: Northwind Cloud
triggers:
  - event: deal_won
    delay_days: 3
  - event: customer_age
    after_days: 30
"""


def refused(folder: Path, text: str) -> BadInput:
    (folder / "bad.yml").write_text(text)
    with pytest.raises(BadInput) as caught:
        load_surveys(folder)
    return caught.value


# name: (text, line, field, words of the message or the remedy)
BAD: dict[str, tuple[str, int, str | None, str]] = {
    "unknown field": (GOOD + "cooldwn: {days: 90}\n", 11, "cooldwn", "did you mean 'cooldown'?"),
    "unknown field of a part": (
        GOOD + "cooldown:\n  days: 90\n  scop: survey\n",
        13,
        "cooldown.scop",
        "did you mean 'scope'?",
    ),
    "unknown field of a trigger": (
        GOOD.replace("after_days: 30", "after_day: 30\n    after_days: 30"),
        10,
        "triggers.1.after_day",
        "did you mean 'after_days'?",
    ),
    "another trigger's field": (
        GOOD + "    days_before: 3\n",
        11,
        "triggers.1.days_before",
        "no field 'days_before'",
    ),
    "unknown field of a translation": (
        GOOD + "languages:\n  de:\n    question:\n      tex: Wie?\n",
        14,
        "languages.de.question.tex",
        "did you mean 'text'?",
    ),
    "a trigger lacks its field": (
        GOOD.replace("    after_days: 30\n", ""),
        9,
        "triggers.1.after_days",
        "add this field",
    ),
    "a trigger without event": (
        GOOD.replace("- event: deal_won\n    delay_days", "- delay_days"),
        7,
        "triggers.0.event",
        "add this field",
    ),
    "no such event": (
        GOOD.replace("deal_won", "deal_one"),
        7,
        "triggers.0.event",
        "'ticket_resolved'",
    ),
    "an event that is nearly one": (
        GOOD.replace("deal_won", "ticket_resolve"),
        7,
        "triggers.0.event",
        "did you mean 'ticket_resolved'?",
    ),
    "a trigger that is a word": (
        GOOD.replace("- event: customer_age\n    after_days: 30", "- monthly"),
        9,
        "triggers.1",
        "",
    ),
    "triggers that are no list": (
        GOOD.partition("  - event")[0].replace("triggers:", "triggers: monthly"),
        6,
        "triggers",
        "a list",
    ),
    "no trigger": (GOOD.partition("  - event")[0].replace("triggers:", "triggers: []"), 6, "triggers", "no trigger"),
    "a form with triggers": (GOOD + "channels: [web_form]\n", 6, "triggers", "would ask nobody"),
    "a mail and links": (GOOD + "channels: [email, link]\n", 11, "channels", "one way out"),
    "a negative delay": (GOOD.replace("delay_days: 3", "delay_days: -3"), 8, "triggers.0.delay_days", "greater than"),
    "delay longer than max_age_days": (
        GOOD.replace("delay_days: 3", "delay_days: 20"),
        8,
        "triggers.0.delay_days",
        "lengthen max_age_days",
    ),
    "delay longer than the trigger's max_age_days": (
        GOOD.replace("delay_days: 3", "max_age_days: 2\n    delay_days: 3"),
        9,
        "triggers.0.delay_days",
        "max_age_days (2)",
    ),
    "two triggers for one event": (GOOD + "  - event: deal_won\n", 11, "triggers.2.event", "due twice"),
    "a day that no year has": (
        GOOD + "  - event: fixed_dates\n    dates: ['03-01', '02-30']\n",
        12,
        "triggers.2.dates.1",
        "'02-30' is no day of the year",
    ),
    "a contradictory filter": (
        GOOD + "audience:\n  where: account.tier = 'SMB' and account.tier = 'Enterprise'\n",
        12,
        "audience.where",
        "never be true",
    ),
    "a filter that cannot be read": (
        GOOD + "audience:\n  where: account.tier = 'SMB' und account.orders > 3\n",
        12,
        "audience.where",
        "at character 22: 'und'",
    ),
    "a filter with an unknown field": (
        GOOD + "audience: {where: \"contact.role = 'x' or account.teir = 'SMB'\"}\n",
        11,
        "audience.where",
        "at character 23: there is no field 'account.teir'; did you mean account.tier?",
    ),
    "fallbacks in a circle": (
        GOOD + "languages:\n  de: {fallback: at}\n  at:\n    fallback: ch\n  ch: {fallback: de}\n",
        12,
        "languages.de.fallback",
        "de -> at -> ch -> de",
    ),
    "a fallback to itself": (
        GOOD + "languages:\n  de:\n    fallback: de\n",
        13,
        "languages.de.fallback",
        "in a circle",
    ),
    "a fallback that is not there": (
        GOOD + "languages:\n  de:\n    fallback: fr\n",
        13,
        "languages.de.fallback",
        "add 'fr'",
    ),
    "the own language again": (GOOD + "languages:\n  en: {}\n", 12, "languages.en", "already"),
    "no language": (GOOD + "languages:\n  German: {}\n", 12, "languages.German", "pattern"),
    "a translation of no question": (
        GOOD + "languages:\n  de:\n    questions:\n      why: {text: Warum}\n",
        14,
        "languages.de.questions.why",
        "no question 'why'",
    ),
    "a translation of no choice": (
        GOOD + "questions: [{id: why, kind: choice, text: Why, choices: [{id: a, label: A}]}]\n"
        "languages:\n  de:\n    questions:\n      why:\n        choices:\n          b: B\n",
        17,
        "languages.de.questions.why.choices.b",
        "no choice 'b'",
    ),
    "no channel": (GOOD + "channels: []\n", 11, "channels", "no active channel"),
    "a question twice for a score": (
        GOOD + "questions:\n  - {id: why, text: Why, scores: 0-6}\n  - id: why\n    text: Why\n    scores: 6-8\n",
        15,
        "questions.1.scores",
        "the score 6: bands overlap",
    ),
    "a question twice": (
        GOOD + "questions:\n  - {id: why, text: Why}\n  - id: why\n    text: Why\n",
        13,
        "questions.1.id",
        "bands overlap",
    ),
    "scores from high to low": (
        GOOD + "questions: [{id: why, text: Why, scores: 6-0}]\n",
        11,
        "questions.0.scores",
        "'0-6'",
    ),
    "a choice without choices": (
        GOOD + "questions: [{id: why, text: Why, kind: choice}]\n",
        11,
        "questions.0.choices",
        "",
    ),
    "two choices of one id": (
        GOOD
        + "questions:\n- id: why\n  kind: choice\n  text: Why\n  choices:\n  - {id: a, label: A}\n  - {id: a, label: B}\n",
        17,
        "questions.0.choices.1.id",
        "rename",
    ),
    "a question with the name of a page's field": (
        GOOD + "questions: [{id: score, text: Why}]\n",
        11,
        "questions.0.id",
        "",
    ),
    "no such time zone": (
        GOOD + "business_hours:\n  time_zone: Europe/Berln\n",
        12,
        "business_hours.time_zone",
        "did you mean 'Europe/Berlin'?",
    ),
    "hours that close before they open": (
        GOOD + "business_hours:\n  opens: '17:00'\n  closes: '09:00'\n",
        13,
        "business_hours.closes",
        "nobody could ever be asked",
    ),
    "hours that never open": (
        GOOD + "business_hours:\n  opens: '18:00'\n",
        11,
        "business_hours.closes",
        "it opens at 18:00 and closes at 17:00",
    ),
    "a time that YAML reads as a number": (
        GOOD + "business_hours:\n  closes: 17:00\n",
        12,
        "business_hours.closes",
        "put it in quotes",
    ),
    "no day of the week": (GOOD + "business_hours:\n  days: []\n", 12, "business_hours.days", "at least 1"),
    "a day of another language": (
        GOOD + "business_hours:\n  days: [mon, die]\n",
        12,
        "business_hours.days.1",
        "'tue'",
    ),
    "a holiday that does not exist": (GOOD + "business_hours:\n  holidays: [2026-02-30]\n", 12, None, "2026-02-30"),
    "a redirect without https": (
        GOOD + "redirect:\n  promoter: http://reviews.example.com\n",
        12,
        "redirect.promoter",
        "https://",
    ),
    "a redirect that runs": (
        GOOD + "redirect:\n  promoter: javascript:alert(1)\n",
        12,
        "redirect.promoter",
        "https://",
    ),
    "a redirect to no host": (GOOD + "redirect:\n  promoter: https://[\n", 12, "redirect.promoter", "https://"),
    "a sample of an event": (
        GOOD + "sample: {by: account.tier}\n",
        7,
        "triggers.0.event",
        "remove `sample`",
    ),
    "a sample by a name": (GOOD + "sample: {by: contact.email}\n", 11, "sample.by", "'account.tier'"),
    "a wave longer than max_age_days": (
        GOOD + "wave: {spread_days: 30}\n",
        11,
        "wave.spread_days",
        "lengthen max_age_days",
    ),
    "a family's cooldown without family": (
        GOOD + "cooldown:\n  scope: family\n",
        12,
        "cooldown.scope",
        "add `family`",
    ),
    "reminders that do not grow": (
        GOOD + "reminders: {after_days: [7, 3]}\n",
        11,
        "reminders.after_days",
        "such as [3, 7]",
    ),
    "a reminder after the link": (
        GOOD + "link_valid_days: 5\nreminders: {after_days: [3, 7]}\n",
        12,
        "reminders.after_days",
        "lengthen link_valid_days",
    ),
    "acknowledged after the end": (
        GOOD + "follow_up:\n  sla_hours: 8\n",
        11,
        "follow_up.acknowledge_hours",
        "lengthen sla_hours",
    ),
    "a key twice": (GOOD + "status: paused\n", 11, "status", "first on line 4"),
    "a key twice in a part": (
        GOOD + "cooldown:\n  days: 90\n  scope: survey\n  days: 9\n",
        14,
        "days",
        "first on line 12",
    ),
    "a key twice in braces": (GOOD + "cooldown: {days: 90, days: 9}\n", 11, "days", "keep one"),
    "one key in two writings": (GOOD + "cooldown: {on: 90, yes: 9}\n", 11, "yes", "stands twice"),
    "words for a mapping": (GOOD + "cooldown: 90 days\n", 11, "cooldown", "each on a line of its own"),
    "a language that YAML reads as false": (GOOD + "language: no\n", 11, "language", "put it in quotes"),
    "nothing at all": (GOOD.replace("name: Post-Close", "name:"), 2, "name", ""),
    "a number that is none": (GOOD.replace("delay_days: 3", "delay_days: 0x"), 8, "triggers.0.delay_days", ""),
    "a number that Python will not read": (
        GOOD.replace("delay_days: 3", f"delay_days: {'9' * 5000}"),
        8,
        None,
        "cannot be read",
    ),
    "brackets without end": (GOOD + "questions: " + "[" * 5000 + "]" * 5000 + "\n", 0, None, "nested too deep"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_programme_names_file_line_field_and_remedy(tmp_path: Path, case: str) -> None:
    text, line, field, words = BAD[case]
    error = refused(tmp_path, text)
    assert (error.file, error.line or 0, error.field) == (tmp_path / "bad.yml", line, field)
    assert error.problem
    assert error.remedy
    assert words in str(error)


def test_what_is_bad_was_good_before(tmp_path: Path) -> None:
    (tmp_path / "good.yml").write_text(GOOD)
    assert load_surveys(tmp_path)


def test_two_files_with_one_id_are_both_named(tmp_path: Path) -> None:
    (tmp_path / "good.yml").write_text(GOOD)
    error = refused(tmp_path, GOOD)
    assert (error.line, error.field) == (1, "id")
    assert "bad.yml and good.yml" in str(error)
    assert error.remedy


@pytest.mark.parametrize(
    "text", ["a: &a [*a]\n", "&a {id: *a}\n", "? [x]\n: 1\n", "a: !!python/object:os.system x\n", "\x00"]
)
def test_strange_yaml_is_bad_input_and_no_crash(tmp_path: Path, text: str) -> None:
    assert refused(tmp_path, text).remedy


def test_merged_keys_are_found_where_they_stand(tmp_path: Path) -> None:
    text = GOOD + "cooldown: &base\n  days: 90\n  scope: survey\n"
    (tmp_path / "good.yml").write_text(text)
    assert load_surveys(tmp_path)
    error = refused(tmp_path, text.replace("scope: survey", "scope: family"))
    assert (error.line, error.field) == (13, "cooldown.scope")


def test_the_command_line_says_so_with_exit_code_2(tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text(GOOD + "cooldwn: {days: 90}\n")
    done = subprocess.run(
        [sys.executable, "-c", "from orchestration.cli import main; main()", "survey", "validate"],
        env={**os.environ, "CLOSEDLOOP_SURVEYS": str(tmp_path), "CLOSEDLOOP_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert f"{tmp_path}/bad.yml:11 [cooldwn]: there is no field 'cooldwn'; did you mean 'cooldown'?" in done.stderr
    assert "what to do: remove the field or mend its spelling; docs/surveys.md lists all fields" in done.stderr
    assert "Traceback" not in done.stderr
