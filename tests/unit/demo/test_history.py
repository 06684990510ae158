"""The past that the demo writes keeps the platform's rules, as the checks of the warehouse will see it."""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Table, select

from closedloop.identity import candidate_id, person_key
from closedloop.ledger import Ledger
from closedloop.ledger import schema as tables
from closedloop.ledger.answers import invitation
from closedloop.ledger.books import books
from closedloop.ledger.followups import unworked
from closedloop.programme import Rule, load_surveys, stored_survey
from closedloop.settings import REPO
from demo.columns import record_ids
from demo.company import Company, imagine_company
from demo.history import HistoryReport, write_history
from demo.verbatims import THEMES

TODAY = dt.date(2026, 3, 2)
END = dt.datetime(2026, 3, 2, tzinfo=dt.UTC)
SURVEYS = load_surveys(REPO / "surveys")


class Past:
    """The ledger's tables as lists of rows."""

    def __init__(self, ledger: Ledger, company: Company, report: HistoryReport) -> None:
        self.ledger, self.company, self.report = ledger, company, report

    def rows(self, table: Table) -> list[dict[str, Any]]:
        with self.ledger.read() as conn:
            return [dict(row) for row in conn.execute(select(table).order_by(*table.primary_key)).mappings()]


def write(folder: Path, *, seed: int = 7, contacts: int = 300) -> Past:
    company, _ = imagine_company(contacts=contacts, seed=7, today=TODAY)
    ledger = Ledger.open(f"sqlite:///{folder}/ledger.sqlite")
    return Past(ledger, company, write_history(ledger, company, SURVEYS, today=TODAY, seed=seed))


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Past]:
    past = write(tmp_path_factory.mktemp("history"))
    yield past
    past.ledger.close()


@pytest.fixture(scope="module")
def events(past: Past) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """By invitation and kind."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for row in past.rows(tables.events):
        if row["invitation_id"]:
            found[row["invitation_id"]][row["kind"]].append({**row, "payload": json.loads(row["payload"])})
    return found


def test_the_evaluations_are_one_chain_of_weeks_that_ends_before_today(past: Past) -> None:
    evaluations = sorted(past.rows(tables.evaluations), key=lambda row: row["as_of"])
    assert [row["predecessor_id"] for row in evaluations] == [
        "genesis",
        *(row["evaluation_id"] for row in evaluations[:-1]),
    ]
    steps = {b["as_of"] - a["as_of"] for a, b in zip(evaluations, evaluations[1:], strict=False)}
    assert steps == {dt.timedelta(days=7)} and len(evaluations) > 95
    assert {row["as_of"].weekday() for row in evaluations} == {1}
    assert dt.timedelta(days=7) < END - evaluations[-1]["as_of"] < dt.timedelta(days=14)
    assert all(row["as_of"] == row["known_at"] < row["sealed_at"] for row in evaluations)


def test_nothing_happens_after_the_last_export(past: Past) -> None:
    assert max(row["recorded_at"] for row in past.rows(tables.events)) < END
    assert max(row["changed_at"] for row in past.rows(tables.answers)) < END


def test_every_ask_has_its_one_message_and_the_books_balance(past: Past) -> None:
    decisions, messages = past.rows(tables.decisions), past.rows(tables.messages)
    asks = {row["candidate_id"]: row for row in decisions if row["decision"] == "ask"}
    assert asks.keys() == {row["message_id"] for row in messages} == {row["invitation_id"] for row in messages}
    for row in messages:
        ask = asks[row["message_id"]]
        assert all(
            row[name] == ask[name] for name in ("survey_id", "wave_id", "contact_id", "account_id", "person_key")
        )
    for book in books(past.ledger):
        assert book.pending == 0
        assert book.planned == book.sent + book.rejected + book.suppressed + book.uncertain
    assert {row["state"] for row in messages} == {"sent", "rejected", "suppressed", "uncertain"}
    assert past.report.asks == len(asks) and past.report.skips == len(decisions) - len(asks)


def test_decisions_name_records_of_the_company(past: Past) -> None:
    company = past.company
    known = {
        "deal_won": set(record_ids("Opportunity", company.deals.won.nonzero()[0]).to_pylist()),
        "ticket_resolved": set(record_ids("Case", company.cases.closed.nonzero()[0]).to_pylist()),
    }
    for row in past.rows(tables.decisions):
        record = row["trigger_record_id"]
        assert row["candidate_id"] == candidate_id(row["survey_id"], row["contact_id"], row["trigger_event"], record)
        assert row["wave_id"] == f"{row['survey_id']}:{row['decided_as_of']:%Y-%m-%d}"
        assert dt.timedelta(0) <= row["decided_as_of"] - row["due_at"] < dt.timedelta(days=7)
        if row["trigger_event"] == "schedule_quarterly":
            # The day begins where the contact is, which is no more than a day from UTC's.
            who, _, day = record.partition("@")
            assert who == row["contact_id"]
            assert abs((dt.date.fromisoformat(day) - row["due_at"].date()).days) <= 1
        else:
            assert record in known[row["trigger_event"]]


def test_decisions_say_why(past: Past) -> None:
    order = [rule.value for rule in Rule]
    seen = set()
    for row in past.rows(tables.decisions):
        against = json.loads(row["all_failed_rules"])
        assert against == sorted(against, key=order.index)
        assert row["deciding_rule"] == (against[0] if against else "passed")
        assert row["decision"] == ("skip" if against else "ask")
        seen.add(row["deciding_rule"])
    assert {"passed", "cooldown", "opted_out", "suppressed", "no_address", "one_per_wave", "recent_response"} <= seen


def test_the_cooldown_is_kept_for_each_person_and_address(past: Past) -> None:
    asked: dict[str, list[dt.datetime]] = defaultdict(list)
    for row in past.rows(tables.messages):
        if row["state"] in ("sent", "uncertain"):
            asked[row["person_key"]].append(row["state_at"])
    gaps = [
        (later.date() - earlier.date()).days
        for times in asked.values()
        for earlier, later in zip(sorted(times), sorted(times)[1:], strict=False)
    ]
    assert min(gaps) >= 90 and len(gaps) > 100


def test_nobody_who_left_is_asked_again(past: Past) -> None:
    since = {row["person_key"]: row["since"] for row in past.rows(tables.suppressions)}
    assert since
    for row in past.rows(tables.messages):
        assert row["planned_at"] <= since.get(row["person_key"], END)
    excluded = {row["subject_id"]: row["since"] for row in past.rows(tables.exclusions)}
    assert not [row for row in past.rows(tables.messages) if row["account_id"] in excluded]


def test_stages_come_in_their_order(past: Past, events: dict[str, dict[str, list[dict[str, Any]]]]) -> None:
    complete = 0
    for row in past.rows(tables.messages):
        of = events[row["message_id"]]
        assert [kind for kind in ("sent", "rejected", "suppressed", "uncertain") if of[kind]] == [row["state"]]
        assert len(of[row["state"]]) == 1 and len(of["answered"]) <= 1 and len(of["unsubscribed"]) <= 1
        people = [hit for hit in of["clicked"] if not hit["payload"]["hidden"]] if len(of["clicked"]) < 11 else []
        stages = [
            row["planned_at"],
            *(hit["occurred_at"] for kind in ("sent", "delivered", "opened") for hit in of[kind]),
        ]
        stages += [hit["occurred_at"] for hit in people] + [hit["occurred_at"] for hit in of["answered"]]
        assert stages == sorted(stages)
        complete += len(stages) == 6
    assert complete > 100


def test_answers_look_like_those_of_people(past: Past, events: dict[str, dict[str, list[dict[str, Any]]]]) -> None:
    answers = past.rows(tables.answers)
    sent = [row for row in past.rows(tables.messages) if row["state"] == "sent"]
    assert 0.22 < len(answers) / len(sent) < 0.40
    scores = [row["score"] for row in answers if row["judged"] == "human"]
    nps = 100 * (sum(score >= 9 for score in scores) - sum(score <= 6 for score in scores)) / len(scores)
    assert 5 < nps < 55
    comments = [row["comment"] for row in answers if row["comment"]]
    assert 0.5 < len(comments) / len(answers) < 0.75 and len(set(comments)) > 0.8 * len(comments)
    for row in answers:
        (heard,) = events[row["invitation_id"]]["answered"]
        assert heard["payload"]["score"] == row["score"] and heard["payload"]["completed"] == bool(row["comment"])


def test_the_unhappy_are_followed_up(past: Past, events: dict[str, dict[str, list[dict[str, Any]]]]) -> None:
    answers = {row["invitation_id"]: row for row in past.rows(tables.answers)}
    followups = past.rows(tables.followups)
    assert unworked(past.ledger) == []
    late = 0
    for row in followups:
        answer = answers[row["invitation_id"]]
        assert row["score"] == answer["score"] <= 6 and answer["worked_version"] == 1
        assert row["opened_at"] == answer["submitted_at"]
        assert row["due_at"] - row["opened_at"] == dt.timedelta(hours=row["sla_hours"])
        course = [row["opened_at"], row["first_contact_at"], row["closed_at"]]
        course = [moment for moment in course if moment]
        assert course == sorted(course)
        assert (row["status"] == "closed") == bool(row["outcome"]) == bool(row["closed_at"])
        late += bool(row["first_contact_at"] and row["first_contact_at"] > row["due_at"])
        assert len(events[row["invitation_id"]]["followup_opened"]) == 1
    assert 0 < late < len(followups) / 2
    human = {key for key, row in answers.items() if row["judged"] == "human" and row["score"] <= 6}
    assert human <= {row["invitation_id"] for row in followups}


def test_a_page_or_a_warning_can_still_be_made_of_a_late_message(past: Past) -> None:
    newest = max(past.rows(tables.messages), key=lambda row: row["planned_at"])
    with past.ledger.read() as conn:
        page = invitation(conn, newest["invitation_id"])
    assert page is not None and person_key(page.payload["email"]) == newest["person_key"]
    assert stored_survey(page.payload["definition"]).id == newest["survey_id"]
    for row in past.rows(tables.messages):
        payload = json.loads(row["payload"])
        assert payload["owner_email"].endswith("@northwind.example") and payload["contact_name"]


def test_the_same_seed_writes_the_same_past(past: Past, tmp_path: Path) -> None:
    again = write(tmp_path)
    for table in (
        tables.evaluations,
        tables.decisions,
        tables.messages,
        tables.events,
        tables.answers,
        tables.followups,
    ):
        assert again.rows(table) == past.rows(table), table.name
    again.ledger.close()


def test_of_a_large_company_a_part_of_the_accounts_took_part(tmp_path: Path) -> None:
    company, _ = imagine_company(contacts=300, seed=7, today=TODAY)
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        report = write_history(ledger, company, SURVEYS, today=TODAY, seed=7, months=6, most_contacts=100)
        accounts = {row["account_id"] for row in Past(ledger, company, report).rows(tables.decisions)}
    assert 0 < len(accounts) <= 20 and 20 <= report.rounds <= 26


def test_another_day_than_the_company_s_is_refused(past: Past) -> None:
    with pytest.raises(ValueError, match="last export"):
        write_history(past.ledger, past.company, SURVEYS, today=TODAY + dt.timedelta(days=1), seed=7)


def test_verbatims_come_in_hundreds_of_forms() -> None:
    assert sum(len(ways) for theme in THEMES.values() for ways in theme.values()) >= 80
