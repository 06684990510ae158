"""Each gate over a whole (small) workshop: healthy builds pass, and each fault is found by the check that names it."""

from __future__ import annotations

import datetime as dt
import json
import shutil

import duckdb
import pytest

from closedloop.identity import person_key
from orchestration.gates import GATES, run_gate

SECRET = "grace.hopper@navy.example"


@pytest.mark.parametrize("gate", GATES)
def test_a_healthy_build_passes(workshop, gate: str) -> None:
    outcomes = workshop.gate(gate)
    assert {name: outcome.details for name, outcome in outcomes.items() if not outcome.passed} == {}
    assert all(outcome.gate == gate and name.startswith(f"{gate}.") for name, outcome in outcomes.items())
    assert sum(outcome.required for outcome in outcomes.values()) > 15


def test_another_builds_workshop_is_refused(workshop, settings, now) -> None:
    for gate in GATES:
        assert [(o.name, o.passed) for o in workshop.gate(gate, build_id="other").values()] == [
            (f"{gate}.workshop.belongs_to_build", False)
        ]
    workshop.now += dt.timedelta(days=1)
    assert workshop.failed("sending") == {"sending.workshop.belongs_to_build"}
    assert not run_gate(
        settings.model_copy(update={"home": settings.home / "empty"}), "arrived", build_id="x", as_of=now
    )[0].passed
    with pytest.raises(ValueError, match="no gate 'leaving'"):
        run_gate(settings, "leaving", build_id="x", as_of=now)


# Arrived -------------------------------------------------------------------------------


def test_rows_are_demanded_only_of_what_landed(workshop) -> None:
    outcomes = workshop.gate("arrived")
    assert outcomes["arrived.crm_account.has_rows"].details["rows"] == 2
    assert "arrived.crm_case.has_rows" not in outcomes
    assert outcomes["arrived.crm_case.id_present"].details == {"rows": 0, "evaluated": 0}


# Faults that do not hide each other stand together: a run of the gate takes a second.
ARRIVED = [
    {
        "crm_contact.id_present": """update lake.crm_contact set "Id" = null where "Id" = 'C1'""",
        "crm_contact.id_not_blank": """update lake.crm_contact set "Id" = ' ' where "Id" = 'C2'""",
        "crm_account.unique_id_systemmodstamp_op_exported_at": "insert into lake.crm_account from lake.crm_account limit 1",
        "crm_account.operation_known": "update lake.crm_account set _op = 'merge'",
        "crm_account.systemmodstamp_sane": """update lake.crm_account set "SystemModstamp" = '2027-01-01'""",
        "crm_account.name_filled": """update lake.crm_account set "Name" = null""",
        "ledger_events.unique_seq": "insert into lake.ledger_events from lake.ledger_events limit 1",
        "ledger_events.times_sane": "update lake.ledger_events set occurred_at = recorded_at + interval '2' day",
        "ledger_decisions.sealed": "update lake.ledger_decisions set evaluation_id = 'lost'",
        "definitions_surveys.status_known": "update lake.definitions_surveys set status = 'on'",
        "responses_imported.score_clean": "insert into lake.responses_imported (external_id, survey, score) values ('1', 's', '11')",
    },
    {
        "crm_contact.has_rows": "delete from lake.crm_contact",
        "crm_account.systemmodstamp_sane": """update lake.crm_account set "SystemModstamp" = 'soon'""",
        "ledger_events.columns": "alter table lake.ledger_events drop recorded_at",
        "definitions_surveys.has_rows": "delete from lake.definitions_surveys",
    },
]


@pytest.mark.parametrize("faults", ARRIVED, ids=["rows", "tables"])
def test_arrived_finds(workshop, faults: dict[str, str]) -> None:
    assert_found(workshop, "arrived", workshop.warehouse, faults)


def test_stale_data_warns_and_never_blocks(workshop) -> None:
    workshop.warehouse("update lake.crm_account set _exported_at = _exported_at - interval '5' day")
    outcomes = workshop.gate("arrived")
    assert [(name, o.required) for name, o in outcomes.items() if not o.passed] == [
        ("arrived.crm_account.fresh", False)
    ]


def test_much_quarantine_warns_and_never_blocks(workshop) -> None:
    check = "arrived.quarantine_rows.little_held_back"
    held = {"source": "crm", "object": "account", "file": "Account.csv", "reason": "required_empty"}
    workshop.insert("lake.quarantine_rows", {**held, "row_key": "k1"})
    outcome = workshop.gate("arrived")[check]
    assert (outcome.passed, outcome.required) == (False, False), "one of three accounts"
    workshop.warehouse("""insert into lake.crm_account by name select "Id" || range as "Id", * exclude ("Id", range)
                       from (from lake.crm_account limit 1), range(20) as more(range)""")  # fmt: skip
    assert workshop.gate("arrived")[check].passed


# Sending -------------------------------------------------------------------------------


def test_asking_nobody_is_fine_and_said_so(workshop, docs_folder) -> None:
    workshop.marts(
        "update marts.survey_queue set decision = 'skip', deciding_rule = 'cooldown', all_failed_rules = '[\"cooldown\"]'"
    )
    outcomes = workshop.gate("sending")
    assert all(outcome.passed for outcome in outcomes.values())
    assert outcomes["sending.survey_queue.not_in_cooldown"].details == {"rows": 2, "evaluated": 0}
    assert "a build that asks no one is a good build" in (docs_folder / "sending.html").read_text()
    workshop.marts("delete from marts.survey_queue")
    assert all(outcome.passed for outcome in workshop.gate("sending").values())


def _event(
    workshop, kind: str, payload: dict, *, days_ago: float = 1, invitation: str | None = None, seq: int = 100
) -> None:
    at = workshop.now.replace(tzinfo=None) - dt.timedelta(days=days_ago)
    row = {"seq": seq, "kind": kind, "invitation_id": invitation, "occurred_at": at, "recorded_at": at}
    workshop.insert("lake.ledger_events", {**row, "payload": json.dumps(payload)})


def test_excluded_contacts_and_accounts_are_found(workshop) -> None:
    check = "sending.survey_queue.not_excluded"
    contact = {"subject": "contact", "subject_id": "C1"}
    _event(workshop, "excluded", {**contact, "until": None}, seq=10)
    assert workshop.gate("sending")[check].details["violations"] == 1
    _event(workshop, "exclusion_removed", contact, seq=11)
    assert workshop.gate("sending")[check].passed
    _event(workshop, "excluded", {**contact, "until": "2026-03-01T00:00:00+00:00"}, seq=12)
    assert workshop.gate("sending")[check].passed, "this exclusion has ended"
    _event(workshop, "excluded", {"subject": "account", "subject_id": "A1", "until": "2027-01-01"}, seq=13)
    assert workshop.gate("sending")[check].details["violations"] == 2


def test_opted_out_people_are_found_by_their_newest_version(workshop) -> None:
    check = "sending.survey_queue.not_opted_out"
    workshop.warehouse(
        """insert into lake.crm_contact by name select * replace ('TRUE' as "HasOptedOutOfEmail",
        '2026-02-02T00:00:00Z' as "SystemModstamp") from lake.crm_contact where "Id" = 'C1'"""
    )
    assert workshop.gate("sending")[check].details["violations"] == 1
    workshop.warehouse(
        """update lake.crm_contact set "Email" = 'c2@customer.example' where "HasOptedOutOfEmail" = 'TRUE'"""
    )
    assert workshop.gate("sending")[check].details["violations"] == 2, "the same address on another contact"


def test_suppressed_addresses_are_found(workshop) -> None:
    check = "sending.survey_queue.not_suppressed"
    _event(workshop, "suppressed_address", {"person_key": person("C1"), "reason": "complained"})
    assert workshop.gate("sending")[check].details["violations"] == 1


@pytest.mark.parametrize(("kind", "payload", "found"), [
    ("unsubscribed", {}, True),
    ("bounced", {"hard": True, "message_kind": "invitation"}, True),
    ("bounced", {"hard": False, "message_kind": "invitation"}, False),
    ("bounced", {"hard": True, "message_kind": "alert"}, False),
])  # fmt: skip
def test_what_suppresses(workshop, kind: str, payload: dict, found: bool) -> None:
    workshop.marts("update marts.survey_queue set contact_id = 'C3', person_key = ? where contact_id = 'C1'",
                   [person("C3")])  # fmt: skip
    _event(workshop, kind, payload, invitation="K0")
    assert workshop.gate("sending")["sending.survey_queue.not_suppressed"].passed is not found


@pytest.mark.parametrize(("days", "found"), [(89, True), (90, False)])
def test_cooldown_counts_days_since_the_person_was_asked(workshop, days: int, found: bool) -> None:
    at = workshop.now.replace(tzinfo=None) - dt.timedelta(days=days)
    workshop.warehouse("update lake.ledger_decisions set person_key = ?, contact_id = 'elsewhere'", [person("C1")])
    workshop.warehouse("update lake.ledger_events set occurred_at = ? where kind = 'sent'", [at])
    assert workshop.gate("sending")["sending.survey_queue.not_in_cooldown"].passed is not found
    workshop.insert("lake.ledger_events", {"seq": 50, "kind": "rejected", "invitation_id": "K0", "payload": "{}"})
    workshop.warehouse("delete from lake.ledger_events where kind = 'sent'")
    workshop.warehouse("update lake.ledger_events set occurred_at = ?, recorded_at = ? where seq = 50", [at, at])
    assert workshop.gate("sending")["sending.survey_queue.not_in_cooldown"].passed, "a rejected mail reached nobody"


def test_an_imported_row_counts_as_contact_and_its_answer_as_answer(workshop) -> None:
    at = workshop.now.replace(tzinfo=None) - dt.timedelta(days=10)
    row = {
        "external_id": "1",
        "survey": "other",
        "contact_email": "C1@customer.example ",
        "submitted_at": at,
        "_ingested_at": at,
    }
    workshop.insert("lake.responses_imported", {**row, "score": ""})
    found = workshop.failed("sending")
    assert found == {"sending.survey_queue.not_in_cooldown"}
    workshop.warehouse("update lake.responses_imported set score = '9'")
    assert workshop.failed("sending") == found | {"sending.survey_queue.no_recent_answer"}
    workshop.warehouse("""update lake.definitions_surveys set definition = replace(definition, 'global', 'survey')""")
    assert workshop.failed("sending") == {"sending.survey_queue.no_recent_answer"}


def test_of_an_imported_row_the_newest_version_counts(workshop) -> None:
    now = workshop.now.replace(tzinfo=None)
    row = {"external_id": "1", "survey": "other", "contact_id": "C1", "score": "9"}
    for days_ago, at in ((2, now - dt.timedelta(days=10)), (1, now - dt.timedelta(days=200))):
        learned = now - dt.timedelta(days=days_ago)
        workshop.insert("lake.responses_imported", {**row, "submitted_at": at, "_ingested_at": learned})
    assert workshop.failed("sending") == set()


def test_a_score_counts_from_its_own_time_not_from_a_later_comment_or_change(workshop) -> None:
    """As in the models: scored 90 days ago before midnight, commented after it; changed two days later, too late."""
    scored = (workshop.now - dt.timedelta(days=90)).replace(hour=23, minute=58)
    answer = {"score": 9, "judged": "human", "scored_at": scored.isoformat()}
    late = {**answer, "score": 3, "scored_at": (scored + dt.timedelta(days=2)).isoformat()}
    workshop.warehouse("update lake.ledger_decisions set contact_id = 'C1'")
    workshop.warehouse("delete from lake.ledger_events where kind = 'answered'")
    for seq, minutes, payload in ((100, 0, answer), (101, 5, {**answer, "comment": "x"}), (102, 2 * 1440, late)):
        days_ago = (workshop.now - scored - dt.timedelta(minutes=minutes)) / dt.timedelta(days=1)
        _event(workshop, "answered", payload, days_ago=days_ago, invitation="K0", seq=seq)
    assert workshop.failed("sending") == set()
    workshop.warehouse(
        """update lake.definitions_surveys
        set definition = replace(definition, '"skip_after_response_days": 90', '"skip_after_response_days": 91')"""
    )
    assert workshop.failed("sending") == {"sending.survey_queue.no_recent_answer"}


def test_an_uncertain_mail_counts_from_its_hand_over_until_it_is_proven_rejected(workshop) -> None:
    check = "sending.survey_queue.not_in_cooldown"
    workshop.warehouse("update lake.ledger_decisions set contact_id = 'C1'")
    workshop.warehouse("delete from lake.ledger_events")
    _event(workshop, "uncertain", {}, days_ago=60, invitation="K0", seq=100)
    assert not workshop.gate("sending")[check].passed
    _event(workshop, "rejected", {}, days_ago=59, invitation="K0", seq=101)
    assert workshop.gate("sending")[check].passed


@pytest.mark.parametrize("gate", ["sending", "published"])
def test_a_past_day_may_be_built_with_what_is_known_now(workshop, gate: str) -> None:
    """What was evaluated after that day is no part of it."""
    later = workshop.now.replace(tzinfo=None) + dt.timedelta(days=1)
    workshop.warehouse("update lake.build_context set known_at = ?", [later])
    workshop.insert("lake.ledger_evaluations", {"evaluation_id": "E2", "as_of": later, "sealed_at": later, "asks": 2})
    workshop.warehouse(
        """insert into lake.ledger_decisions by name
        select * replace ('KC1' as candidate_id, 'E2' as evaluation_id, 'C1' as contact_id) from lake.ledger_decisions"""
    )
    assert workshop.failed(gate) == set()


SENDING = [
    {
        "one_per_person": "insert into marts.survey_queue select * replace ('K9' as candidate_id) from marts.survey_queue limit 1",
        "unique_candidate_id": "insert into marts.survey_queue from marts.survey_queue limit 1",
        "has_address": "update marts.survey_queue set contact_id = 'nobody' where contact_id = 'C1'",
        "due": "update marts.survey_queue set due_at = decided_as_of + interval '1' hour",
        "not_decided_before": "update marts.survey_queue set candidate_id = 'K0' where contact_id = 'C2'",
        "asked_only_if_all_passed": "update marts.survey_queue set all_failed_rules = '[\"cooldown\"]'",
        "programme_known": "update marts.survey_queue set definition_hash = 'h0'",
        "programme_active": "update marts.survey_queue set survey_id = 'gone'",
    },
    {
        "has_address": "update marts.survey_queue set person_key = 'x' where contact_id = 'C1'",
        "columns": "alter table marts.survey_queue drop wave_id",
    },
]


@pytest.mark.parametrize("faults", SENDING, ids=["rows", "columns"])
def test_sending_finds(workshop, faults: dict[str, str]) -> None:
    assert_found(workshop, "sending", workshop.marts, {f"survey_queue.{check}": sql for check, sql in faults.items()})


def test_a_flood_is_stopped_and_a_first_wave_passes(workshop) -> None:
    check = "sending.survey_queue.volume_sane"
    workshop.marts("insert into marts.survey_queue select q.* from (from marts.survey_queue limit 1) as q, range(300)")
    assert not workshop.gate("sending")[check].passed
    workshop.warehouse("update lake.ledger_evaluations set asks = 61")
    assert workshop.gate("sending")[check].passed, "302 are less than five times 61"
    workshop.warehouse("update lake.ledger_evaluations set asks = 0")
    assert workshop.gate("sending")[check].passed, "no wave before this one"


def test_an_imported_answer_may_come_back_to_what_it_said_before(workshop) -> None:
    row = {"external_id": "1", "survey": "other", "score": "9", "content_hash": "nine"}
    for days, change in ((3, {}), (2, {"score": "3", "content_hash": "three"}), (1, {})):
        at = workshop.now.replace(tzinfo=None) - dt.timedelta(days=days)
        workshop.insert(
            "lake.responses_imported",
            {**row, **change, "submitted_at": at, "_ingested_at": at, "_batch_id": f"b{days}"},
        )
    assert workshop.failed("arrived") == set()
    workshop.insert("lake.responses_imported", {**row, "_batch_id": "b1", "submitted_at": at, "_ingested_at": at})
    assert workshop.failed("arrived") == {"arrived.responses_imported.unique_external_id_batch_id"}


# Published -----------------------------------------------------------------------------


def test_an_imported_survey_may_have_answers_of_both_types(workshop) -> None:
    """They are reported apart, and a total of each type is still all its answers."""
    workshop.marts(
        "insert into marts.fct_responses by name select * replace ('R9' as response_id, 'relationship' as survey_type) from marts.fct_responses"
    )
    workshop.marts(
        "insert into marts.rpt_nps by name select * replace ('relationship' as survey_type) from marts.rpt_nps"
    )
    assert workshop.failed("published") == set()


PUBLISHED = [
    {
        "rpt_goals.exists": "drop table marts.rpt_goals",
        "dim_contacts.columns": "alter table marts.dim_contacts drop email",
        "dim_accounts.health_in_range": "insert into marts.dim_accounts (account_id, health) values ('A1', 101)",
        "dim_contacts.advocates_are_promoters": "insert into marts.dim_contacts (contact_id, is_advocate, last_category) values ('C1', true, 'passive')",
        "rpt_themes.no_persons": "alter table marts.rpt_themes add comment varchar",
        "fct_responses.category_matches_score": "update marts.fct_responses set category = 'passive'",
        "fct_responses.score_in_range": "update marts.fct_responses set score = 11",
        "fct_responses.not_from_the_future": "update marts.fct_responses set submitted_at = timestamp '2026-03-03'",
        "fct_responses.survey_known": "update marts.fct_responses set survey_id = 'gone'",
        "fct_responses.unique_response_id": "insert into marts.fct_responses from marts.fct_responses",
        "rpt_nps.bands_add_up": "update marts.rpt_nps set promoters = 2",
        "rpt_nps.nps_in_range": "update marts.rpt_nps set nps = 101",
        "rpt_nps.nps_is_its_formula": "update marts.rpt_nps set nps = 99 where survey_id = 'all'",
        "rpt_nps.interval_in_order": "update marts.rpt_nps set nps_low = 99",
        "rpt_nps.one_row_for_all_time": "insert into marts.rpt_nps from marts.rpt_nps limit 1",
        "fct_invitations.sent_has_its_time": "update marts.fct_invitations set delivery_state = 'pending'",
        "fct_invitations.stages_in_order": "update marts.fct_invitations set sent_at = planned_at - interval '1' day",
        "fct_eligibility_decisions.as_sealed": "delete from marts.fct_eligibility_decisions",
        "survey_withdrawals.of_what_may_yet_go_out": "insert into marts.survey_withdrawals (invitation_id, delivery_state) values ('K0', 'rejected')",
        "rpt_survey_funnel.rates_are_shares": "insert into marts.rpt_survey_funnel (response_rate) values (1.2)",
        "fct_followups.resolution_matches_outcome": "insert into marts.fct_followups (response_id, status, outcome, resolution) values ('R1', 'closed', 'no_response', 'resolved')",
        "rpt_closed_loop.statuses_add_up": "insert into marts.rpt_closed_loop (open, in_progress, closed, to_follow_up) values (1, 0, 0, 2)",
        "rpt_closed_loop.conversions_nest": "insert into marts.rpt_closed_loop (open, in_progress, closed, resolved, unresolved, to_follow_up, converted, detractors_answered_again) values (0, 0, 1, 1, 0, 1, 2, 1)",
        "rpt_closed_loop.money_counts_once": "insert into marts.rpt_closed_loop (period_grain, segment, money_at_risk, money_kept) values ('all', 'all', 5, 0), ('all', 'tier', 5, 0), ('all', 'tier', 5, 0)",
        "rpt_score_paths.shares_add_up": "insert into marts.rpt_score_paths (from_category, to_category, share) values ('passive', 'passive', 0.5)",
        "fct_score_changes.between_two_answers": "insert into marts.fct_score_changes (response_id, previous_response_id, contact_id, score_change) values ('K0', 'K0', 'C1', 0)",
    },
    {
        "fct_responses.answers_arrive": "delete from marts.fct_responses",
        "fct_invitations.books_balance": "delete from marts.fct_invitations",
        "dim_surveys.has_rows": "delete from marts.dim_surveys",
        "rpt_nps.interval_in_order": "update marts.rpt_nps set nps_high = null",
    },
    {
        "fct_responses.score_present": "update marts.fct_responses set score = null",
        "rpt_nps.agrees_with_responses": "delete from marts.rpt_nps where survey_id = 'support'",
    },
]


@pytest.mark.parametrize("faults", PUBLISHED, ids=["rows", "tables", "null"])
def test_published_finds(workshop, faults: dict[str, str]) -> None:
    assert_found(workshop, "published", workshop.marts, faults)


def test_fewer_answers_than_the_last_publication_warns_unless_voided(workshop, settings) -> None:
    check = "published.fct_responses.not_fewer_than_last_time"
    assert check not in workshop.gate("published")
    settings.published_dir.mkdir()
    shutil.copy(workshop.marts_path, settings.published_dir / "marts-1.duckdb")
    settings.marts_file.symlink_to("marts-1.duckdb")
    assert workshop.gate("published")[check].passed
    with duckdb.connect(str(settings.marts_file.resolve())) as con:
        con.execute("insert into marts.fct_responses select * from marts.fct_responses")
    outcome = workshop.gate("published")[check]
    assert (outcome.passed, outcome.required) == (False, False)
    _event(workshop, "voided", {"by": "x"}, invitation="K0")
    assert workshop.gate("published")[check].passed


def test_no_person_in_outcomes_or_docs(workshop, docs_folder) -> None:
    workshop.warehouse("""update lake.crm_contact set "Email" = ?, "SystemModstamp" = ? """, [SECRET, SECRET])
    workshop.marts("update marts.fct_responses set category = ?, comment = ?", [SECRET, SECRET])
    workshop.marts("update marts.survey_queue set candidate_id = ?", [SECRET])
    said = "".join(repr(workshop.gate(gate)) for gate in GATES)
    said += "".join(path.read_text() for path in docs_folder.rglob("*") if path.is_file())
    assert "violations" in said and "hopper" not in said
    assert sorted(path.name for path in docs_folder.iterdir()) == [
        "arrived.html",
        "index.html",
        "published.html",
        "sending.html",
    ]


def assert_found(workshop, gate: str, run, faults: dict[str, str]) -> None:
    for sql in faults.values():
        run(sql)
    failed = {name for name, outcome in workshop.gate(gate).items() if outcome.required and not outcome.passed}
    assert {f"{gate}.{check}" for check in faults} - failed == set()


def person(contact: str) -> str:
    return person_key(f"{contact}@customer.example")
