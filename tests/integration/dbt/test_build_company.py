"""The whole dbt project on a company small enough to be reckoned by hand."""

from __future__ import annotations

import datetime as dt
from types import ModuleType
from typing import Any

import pytest

pytestmark = pytest.mark.slow


def test_who_is_asked_and_who_is_not_with_every_reason(built: Any) -> None:
    queue = built.query("select contact_id, trigger_record_id, decision, all_failed_rules from marts.survey_queue")
    assert set(queue) == {
        ("primary", "o1", "ask", "[]"),
        ("fresh", "c5", "ask", "[]"),
        ("fresh", "c4", "skip", '["one_per_wave"]'),
        ("asked", "c1", "skip", '["cooldown","recent_response"]'),
        ("optout", "c2", "skip", '["opted_out"]'),
        ("court", "c3", "skip", '["excluded"]'),
    }


def test_the_queue_has_the_ids_that_python_reckons(built: Any) -> None:
    from closedloop.identity import candidate_id, person_key

    found = built.query(
        "select candidate_id, person_key, wave_id from marts.survey_queue where trigger_record_id = 'o1'"
    )
    expected = (candidate_id("post-close", "primary", "deal_won", "o1"), person_key(" Primary@A1.example\t"))
    assert found == [(*expected, "post-close:2026-03-02")]


def test_an_answer_has_the_owner_of_its_time_and_its_follow_up(built: Any) -> None:
    assert built.query(
        "select score, category, owner_id_at_response, owner_id_current, region, team_at_response, hours_to_response"
        " from marts.fct_responses where response_id = 'i1'"
    ) == [(3, "detractor", "u1", "u2", "EMEA", "North", 24.0)]
    assert built.query("select response_id, status, within_sla, hours_to_first_contact from marts.fct_followups") == [
        ("i1", "in_progress", True, 24.0)
    ]


def test_imported_answers_stand_beside_ours_unasked_rows_are_no_response(built: Any) -> None:
    assert set(built.query("select response_id, score from marts.fct_responses where is_imported")) == {
        ("import:x1", 10),
        ("import:x2", 7),
    }
    unknown = built.query("select count(*) from marts.dim_contacts where not is_in_crm")
    assert unknown == [(3,)], "the one who did not answer is a contact too"
    assert built.query("select status from marts.dim_surveys where is_external") == [("external",)]
    segments = built.query(
        "select segment_value, responses from marts.rpt_nps"
        " where segment = 'campaign' and survey_id = 'all' and period_grain = 'all'"
    )
    assert set(segments) == {("spring", 1), ("(none)", 1)}


def test_transactional_and_relationship_are_never_pooled(built: Any) -> None:
    headline = built.query(
        "select survey_type, promoters, passives, detractors, nps from marts.rpt_nps"
        " where survey_id = 'all' and segment = 'all' and period_grain = 'all'"
    )
    assert set(headline) == {("transactional", 0, 0, 1, -100.0), ("relationship", 1, 1, 0, 50.0)}


def test_deleting_the_warehouse_and_building_again_gives_equal_marts(built: Any, company: ModuleType) -> None:
    """Also after more data came, for the same as_of and known_at."""
    before = built.tables()
    later = company.AS_OF + dt.timedelta(days=1)
    rows = company.rows()
    rows["crm.case"].append(company.case("late", "a1", "first") | {"_ingested_at": later, "_exported_at": later})
    rows["crm.account"].append(company.crm("a1", "2026-03-03T00:00:00Z", Name="Renamed", _ingested_at=later))
    rows["responses.imported"].append(company.imported("x1", "0", company.AS_OF, _ingested_at=later))
    rows["ledger.events"].append({**rows["ledger.events"][0], "seq": 99, "kind": "voided", "recorded_at": later})
    for table in rows.values():
        table.reverse()  # no order of rows may matter
    built.fill(rows, as_of=company.AS_OF)
    built.dbt("build", "--exclude-resource-type", "unit_test")
    after = built.tables()
    assert before.keys() == after.keys()
    assert {name for name in before if before[name] != after[name]} == set()


def test_with_a_four_week_cooldown_weeks_0_2_and_4_ask_at_0_and_4(workshop: Any, company: ModuleType) -> None:
    """Each evaluation is sealed before the next: what was skipped does not count as asked."""
    start = dt.datetime(2026, 1, 5, 9, tzinfo=dt.UTC).replace(tzinfo=None)
    definition = next(row for row in company.definitions() if row["survey_id"] == "support")
    changed = str(definition["definition"]).replace('"cooldown":{"days":90', '"cooldown":{"days":28')
    assert changed != definition["definition"]
    rows: dict[str, list[dict[str, object]]] = {
        "definitions.surveys": [{**definition, "definition": changed}],
        "crm.account": [company.crm("a1", Name="One")],
        "crm.contact": [company.contact("often", "a1")],
        "crm.case": [],
        "ledger.evaluations": [],
        "ledger.decisions": [],
    }
    decided = []
    for week in (0, 2, 4):
        now = start + dt.timedelta(weeks=week)
        closed = (now - dt.timedelta(days=1, hours=1)).isoformat()
        rows["crm.case"].append(company.case(f"case{week}", "a1", "often", closed))
        workshop.fill(rows, as_of=now)
        workshop.dbt("build", "--select", "+survey_queue", "--exclude-resource-type", "unit_test", "test")
        columns = (
            "candidate_id contact_id account_id person_key survey_id wave_id trigger_event trigger_record_id due_at"
        )
        columns += " decision deciding_rule all_failed_rules decided_as_of"
        queue = workshop.query(f"select {', '.join(columns.split())} from marts.survey_queue")
        assert len(queue) == 1, "what is sealed is no candidate any more"
        sealed = dict(zip(columns.split(), queue[0], strict=True))
        decided.append((week, sealed["decision"], sealed["deciding_rule"]))
        evaluation = f"e{week}"
        rows["ledger.decisions"].append({**sealed, "evaluation_id": evaluation})
        rows["ledger.evaluations"].append({"evaluation_id": evaluation, "as_of": now, "sealed_at": now})
    assert decided == [(0, "ask", "passed"), (2, "skip", "cooldown"), (4, "ask", "passed")]
