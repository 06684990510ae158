"""Plan, what-if and explain through the command line, on a small company with a past: they agree with what is decided."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from command_line import CommandLine

from closedloop.errors import BadInput
from closedloop.settings import Settings
from orchestration import planning_words, work
from orchestration.cli import cli as command_line
from orchestration.cli.front import Context

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
TODAY = "2026-03-02"
NOW = "2026-03-02T09:00Z"
AS_OF, LATER = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC), dt.datetime(2026, 3, 2, 10, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def surveys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programmes")
    for file in (ROOT / "surveys").glob("*.yml"):
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def cli(surveys: Path, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A demo of 400 contacts that stops before anything is built."""
    cli = CommandLine(tmp_path_factory.mktemp("planning") / "home", CLOSEDLOOP_SURVEYS=str(surveys))
    cli.run("demo", "--contacts", 400, "--today", TODAY, "--until", "ingest", timeout=300)
    # The demo plays on its own day; what comes after it plays an hour later.
    offset = LATER - dt.datetime.now(dt.UTC)
    cli.environment["CLOSEDLOOP_CLOCK_OFFSET_SECONDS"] = str(offset.total_seconds())
    return cli


@pytest.fixture(scope="module")
def planned(cli: CommandLine) -> Counter[tuple[str, str, str]]:
    """What the plan of the home said of its first evaluation, before anything was built."""
    found = plan(cli)["proposals"]
    return Counter({(p["survey_id"], p["decision"], p["deciding_rule"]): p["contacts"] for p in found})


@pytest.fixture(scope="module")
def built(cli: CommandLine, planned: Counter[tuple[str, str, str]]) -> CommandLine:
    """The same home, built and published."""
    cli.run("build", "--as-of", NOW, timeout=300)
    return cli


def plan(cli: CommandLine, file: Path | None = None) -> dict[str, Any]:
    """What the command shows with --json, without starting a process for each."""
    return work.plan(settings_of(cli), file, as_of=AS_OF, now=LATER)


def settings_of(cli: CommandLine) -> Settings:
    return Settings(home=cli.home, surveys=Path(cli.environment["CLOSEDLOOP_SURVEYS"]), _env_file=None)


def of_survey(found: dict[str, Any], survey: str) -> dict[str, Any]:
    return next(one for one in found["surveys"] if one["survey_id"] == survey)


def test_what_is_planned_for_now_is_what_the_build_proposes(
    planned: Counter[tuple[str, str, str]], built: CommandLine
) -> None:
    assert sum(planned.values()) > 20 and {decision for _, decision, _ in planned} == {"ask", "skip"}
    proposed = built.marts("select survey_id, decision, deciding_rule, count(*) from marts.survey_queue group by all")
    assert planned == Counter({(survey, decision, rule): count for survey, decision, rule, count in proposed})


def test_the_first_day_of_a_plan_is_now_and_what_is_asked_then_is_not_asked_again(built: CommandLine) -> None:
    found = plan(built)
    for one in found["surveys"]:
        assert one["change"] == "unchanged" and one["before"] is None
        assert one["asks_by_day"].get(TODAY, 0) >= one["now"]["ask"], "some come due later today"
        assert sum(one["asks_by_day"].values()) == one["next_days"]["ask"]
        total = one["expected"][0]
        assert total["asks"] == one["next_days"]["ask"] == sum(row["asks"] for row in one["expected"][1:])
        assert 0 < total["response_rate"] < 1 and total["half_width"] > 0
    relationship = of_survey(found, "relationship")
    assert relationship["next_days"]["ask"] > relationship["now"]["ask"]
    assert len(relationship["examples"]["passed"]) == 3


def test_a_changed_file_shows_what_changes(built: CommandLine, surveys: Path, tmp_path: Path) -> None:
    changed = tmp_path / "relationship.yml"
    text = (surveys / "relationship.yml").read_text().replace("status: active", "status: draft")
    changed.write_text(text + "cooldown:\n  days: 7\n  scope: survey\naudience:\n  where: account.tier = 'SMB'\n")
    (one,) = plan(built, changed)["surveys"]
    assert one["change"] == "changed" and {row["field"] for row in one["changes"]} >= {
        "cooldown.days",
        "audience.where",
    }
    assert one["before"]["ask"] > 0 and one["next_days"]["skip"]["audience"] > 0
    assert [row["segment_value"] for row in one["expected"]] == ["all", "SMB"]
    assert any("7 days is shorter" in warning for warning in one["warnings"])
    shown = json.loads(built.run("survey", "plan", changed, "--as-of", NOW, "--json").stdout)
    assert shown["surveys"][0]["next_days"] == one["next_days"]
    in_words = planning_words.plan_as_text(shown)
    assert "~ cooldown.days: 90 -> 7" in in_words and "not asked: audience" in in_words
    markdown = planning_words.plan_as_markdown(shown)
    assert "| cooldown.days | 90 | 7 |" in markdown and markdown.count("####") == 1


def test_a_new_programme_is_planned_before_it_is_in_the_folder(built: CommandLine, tmp_path: Path) -> None:
    new = tmp_path / "renewals.yml"
    new.write_text(
        "id: renewals\nname: Renewals\ntype: relationship\nstatus: draft\ncompany: Example\ncooldown: {days: 0}\n"
        "skip_after_response_days: 0\ntargets: {half_width: 3}\nquestions:\n"
        "  - {id: reason, text: 'Why?'}\n  - {id: more, text: 'What else?'}\n"
        "triggers:\n  - {event: before_renewal, days_before: 30, contacts: all}\n"
    )
    (one,) = plan(built, new)["surveys"]
    assert one["change"] == "new" and one["next_days"]["ask"] > 0
    told = " ".join(one["warnings"])
    assert (
        "4 questions" in told and "target is ±3" in told and "is draft" in told and "another survey less than" in told
    )
    assert not built.lake("select 1 from lake.definitions_surveys where survey_id = 'renewals'"), (
        "a plan leaves no trace"
    )


def test_a_wrong_file_is_refused_with_line_and_field(built: CommandLine, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yml"
    wrong.write_text(
        "id: wrong\nname: Wrong\ntype: relationship\nstatus: draft\ncompany: X\ntriggers:\n  - event: nope\n"
    )
    with pytest.raises(BadInput, match=r"wrong\.yml:7 \[triggers\.0\.event\].*\n.*what to do"):
        plan(built, wrong)


def test_a_segment_that_is_none_is_refused(built: CommandLine) -> None:
    with pytest.raises(BadInput, match="cannot be expected by"):
        work.plan(settings_of(built), None, as_of=AS_OF, now=LATER, by="tier from secrets --")


def test_what_if_stands_beside_today(built: CommandLine) -> None:
    period = {"first": dt.date(2025, 6, 1), "last": dt.date(2025, 12, 31), "now": LATER}
    changes = {"cooldown_days": 180}
    found = work.what_if(settings_of(built), "relationship", changes, alone=False, **period)
    today = found["today"]
    assert 0 < found["asked"] < today["asked"]
    assert found["most_asks_of_one"] <= 2 < today["most_asks_of_one"]
    assert found["skipped"]["cooldown"] > today["skipped"]["cooldown"]
    occasions = [sum(one["skipped"].values()) + one["asked"] for one in (found, today)]
    assert occasions[0] == occasions[1] > 100
    assert found["expected_half_width"] > today["expected_half_width"]
    alone = work.what_if(settings_of(built), "relationship", changes, alone=True, **period)
    assert alone["today"]["asked"] >= today["asked"], "other surveys stand in nobody's way"
    words = ("what-if", "--survey", "relationship", "--from", "2025-06-01", "--to", "2025-12-31")
    shown = json.loads(built.run(*words, "--cooldown-days", 180, "--json").stdout)
    assert shown == json.loads(json.dumps(found))
    assert "people asked by month" in planning_words.what_if_as_text(shown)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--survey", "nope", "--from", "2026-01-01", "--to", "2026-02-01"), "there is no survey 'nope'"),
        (("--survey", "support", "--from", "2026-02-01", "--to", "2026-01-01"), "lies before the first"),
        (("--survey", "support", "--from", "2020-01-01", "--to", "2026-01-01"), "longer than three years"),
        (
            ("--survey", "support", "--from", "2026-01-01", "--to", "2026-02-01", "--cooldown-days", "-1"),
            "--cooldown-days",
        ),
        (("--survey", "support", "--from", "2026-01-01", "--to", "2026-02-01", "--where", "account.x = 1"), "no field"),
    ],
)
def test_a_what_if_that_makes_no_sense_is_refused(built: CommandLine, words: tuple[str, ...], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        command_line.main(args=["what-if", *words], standalone_mode=False, obj=Context(settings_of(built)))


def test_every_decision_is_explained_with_its_facts(built: CommandLine) -> None:
    contact, survey = built.marts(
        "select contact_id, survey_id from marts.fct_eligibility_decisions where deciding_rule = 'cooldown' "
        "order by decided_as_of desc, contact_id limit 1"
    )[0]
    found = json.loads(built.run("explain", "--contact", contact, "--json").stdout)
    known = built.marts(
        "select candidate_id from marts.fct_eligibility_decisions where contact_id = '%s' union all "  # noqa: UP031
        "select candidate_id from marts.survey_queue where contact_id = '%s'" % (contact, contact)
    )
    assert sorted(row["candidate_id"] for row in found["decisions"]) == sorted(key for (key,) in known)
    cooled = [row for row in found["decisions"] if row["deciding_rule"] == "cooldown" and row["survey_id"] == survey][
        -1
    ]
    assert (
        f"on {cooled['facts']['asked_at'][:10]}" in cooled["in_words"]
        and "the cooldown is 90 days" in cooled["in_words"]
    )
    first = found["decisions"][0]["decided_as_of"][:10]
    past = json.loads(built.run("explain", "--contact", contact, "--as-of", f"{first}T23:59Z", "--json").stdout)
    assert {row["decided_as_of"][:10] for row in past["decisions"]} == {first}
    assert "last asked" in built.run("explain", "--contact", contact, "--survey", survey).stdout
    assert "there is no contact" in built.refused("explain", "--contact", "nobody")
