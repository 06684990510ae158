"""A workshop as a build leaves it, in miniature: every table of the lake, every mart, one healthy wave."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from closedloop.identity import person_key
from closedloop.lake.catalogue import CATALOGUE, DUCKDB_TYPE
from closedloop.settings import Settings
from orchestration.gates import CheckOutcome, run_gate
from orchestration.gates.published import MART_COLUMNS

BUILD = "20260302T090000-fixture"


class Workshop:
    """The two files of a build; `warehouse` and `marts` run SQL in them, `gate` runs a gate."""

    def __init__(self, settings: Settings, now: dt.datetime) -> None:
        self.settings, self.now = settings, now
        settings.build_dir.mkdir(parents=True, exist_ok=True)
        self.marts_path = settings.build_dir / "marts.duckdb"
        self.warehouse_con, self.marts_con = duckdb.connect(), duckdb.connect()
        for con, path in ((self.warehouse_con, settings.warehouse_file), (self.marts_con, self.marts_path)):
            con.execute(f"attach '{path}' as file; use file")

    def warehouse(self, sql: str, values: list | None = None) -> None:
        self.warehouse_con.execute(sql, values)

    def marts(self, sql: str, values: list | None = None) -> None:
        self.marts_con.execute(sql, values)

    @contextmanager
    def closed(self) -> Iterator[None]:
        """The files as others see them: written out, and held by nobody."""
        for con in (self.warehouse_con, self.marts_con):
            con.execute("use memory; detach file")
        try:
            yield
        finally:
            for con, path in ((self.warehouse_con, self.settings.warehouse_file), (self.marts_con, self.marts_path)):
                con.execute(f"attach '{path}' as file; use file")

    def insert(self, table: str, *rows: dict) -> None:
        run = self.marts if table.startswith("marts.") else self.warehouse
        for row in rows:
            names, marks = ", ".join(f'"{name}"' for name in row), ", ".join("?" for _ in row)
            run(f"insert into {table} ({names}) values ({marks})", list(row.values()))

    def gate(self, name: str, *, build_id: str = BUILD) -> dict[str, CheckOutcome]:
        with self.closed():
            outcomes = run_gate(self.settings, name, build_id=build_id, as_of=self.now)
        return {outcome.name: outcome for outcome in outcomes}

    def failed(self, name: str) -> set[str]:
        return {outcome.name for outcome in self.gate(name).values() if not outcome.passed}


def _type_of(column: str) -> str:
    if column.endswith("_at") or column in ("period_start", "as_of", "decided_as_of", "quarantined_at"):
        return "timestamp"
    if column in (
        "within_sla",
        "previous_followed_up",
        "previous_contacted_within_sla",
        "is_reportable",
        "is_imported",
        "is_advocate",
    ):
        return "boolean"
    if column == "score" or column in NUMBERS:
        return "bigint"
    if column.startswith(("nps", "money", "share")) or column.endswith(("_rate", "_change", "first_contact")):
        return "double"
    return "varchar"


NUMBERS = [
    "responses",
    "promoters",
    "passives",
    "detractors",
    "respondents",
    "planned",
    "sent",
    "rejected",
    "suppressed",
    "uncertain",
    "delivered",
    "opened",
    "clicked",
    "responded",
    "completed",
    "unsubscribed",
    "bounced",
    "to_follow_up",
    "contacted",
    "contacted_within_sla",
    "open",
    "in_progress",
    "closed",
    "resolved",
    "unresolved",
    "overdue",
    "detractors_answered_again",
    "converted",
    "converted_to_promoter",
    "line",
    "health",
]


@pytest.fixture(scope="session")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a healthy build, made once and copied for each test."""
    settings = Settings(home=tmp_path_factory.mktemp("gates") / "home", _env_file=None)
    settings.ensure_home()
    with make_healthy(settings, dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)).closed():
        return settings.home


@pytest.fixture
def workshop(healthy: Path, settings: Settings, now: dt.datetime) -> Workshop:
    shutil.copytree(healthy, settings.home, dirs_exist_ok=True)
    return Workshop(settings, now)


def make_healthy(settings: Settings, now: dt.datetime) -> Workshop:
    made = Workshop(settings, now)
    at = now.replace(tzinfo=None)
    ago = lambda days: at - dt.timedelta(days=days)  # noqa: E731
    made.warehouse("create schema lake")
    for table in CATALOGUE.values():
        listed = ", ".join(f'"{name}" {DUCKDB_TYPE[kind]}' for name, kind in table.columns.items())
        made.warehouse(f"create table lake.{table.view} ({listed})")
    made.marts("create schema marts")
    for mart, names in MART_COLUMNS.items():
        listed = ", ".join(f'"{name}" {_type_of(name)}' for name in names.split())
        made.marts(f"create table marts.{mart} ({listed})")
    cut = {"crm.account": 1, "crm.contact": 2, "ledger.events": 3}
    made.warehouse(
        "create table lake.build_context as select ?::varchar build_id, ?::timestamp as_of, ?::timestamp known_at, ?::varchar cut",
        [BUILD, at, at, json.dumps(cut)],
    )
    arrival = {"_batch_id": "b", "_ingested_at": ago(1), "_source": "s"}
    crm = {"_op": "upsert", "_exported_at": ago(1), "SystemModstamp": "2026-02-01T00:00:00Z", **arrival}
    made.insert("lake.crm_account", {"Id": "A1", "Name": "Acme", **crm}, {"Id": "A2", "Name": "Beta", **crm})
    for contact in ("C1", "C2", "C3"):
        row = {"Id": contact, "AccountId": "A1", "Email": f" {contact}@Customer.example", "HasOptedOutOfEmail": "false"}
        made.insert("lake.crm_contact", {**row, **crm})
    definition = {"cooldown": {"days": 90, "scope": "global"}, "skip_after_response_days": 90}
    made.insert(
        "lake.definitions_surveys",
        {
            "survey_id": "support",
            "definition_hash": "h1",
            "definition": json.dumps(definition),
            "status": "active",
            **arrival,
        },
    )
    sealed = {"evaluation_id": "E1", "predecessor_id": "genesis", "as_of": ago(120), "sealed_at": ago(120)}
    made.insert("lake.ledger_evaluations", {**sealed, "asks": 1, "skips": 0, **arrival})
    asked = {
        "candidate_id": "K0",
        "contact_id": "C3",
        "account_id": "A1",
        "survey_id": "support",
        "wave_id": "support:1",
        "trigger_event": "ticket_resolved",
        "trigger_record_id": "T0",
        "due_at": ago(121),
        "decision": "ask",
        "deciding_rule": "passed",
        "all_failed_rules": "[]",
        "decided_as_of": ago(120),
        "person_key": person_key("C3@customer.example"),
    }
    made.insert("lake.ledger_decisions", {**asked, "evaluation_id": "E1", **arrival})
    events = [("sent", 120, {}), ("answered", 119, {"score": 9, "judged": "human"})]
    for seq, (kind, days, payload) in enumerate(events, start=1):
        row = {"seq": seq, "kind": kind, "invitation_id": "K0", "occurred_at": ago(days), "recorded_at": ago(days)}
        made.insert(
            "lake.ledger_events", {**row, "payload": json.dumps({"message_kind": "invitation", **payload}), **arrival}
        )

    for contact in ("C1", "C2"):
        row = {
            "candidate_id": f"K{contact}",
            "contact_id": contact,
            "person_key": person_key(f"{contact}@customer.example"),
        }
        new = {"trigger_record_id": f"T{contact}", "due_at": ago(1), "decided_as_of": at, "definition_hash": "h1"}
        made.insert("marts.survey_queue", {**asked, **row, **new})
    made.insert("marts.dim_surveys", {"survey_id": "support", "survey_type": "transactional"})
    invitation = {"invitation_id": "K0", "wave_id": "support:1", "planned_at": ago(120), "sent_at": ago(120)}
    made.insert("marts.fct_invitations", {**invitation, "status": "completed", "delivery_state": "sent"})
    made.insert(
        "marts.fct_eligibility_decisions",
        {name: asked[name] for name in ("candidate_id", "contact_id", "survey_id", "decision", "deciding_rule")},
    )
    answer = {"response_id": "K0", "survey_id": "support", "survey_type": "transactional", "submitted_at": ago(119)}
    made.insert("marts.fct_responses", {**answer, "score": 9, "category": "promoter"})
    total = {"survey_type": "transactional", "period_grain": "all", "segment": "all", "segment_value": "all"}
    numbers = {
        "responses": 1,
        "promoters": 1,
        "passives": 0,
        "detractors": 0,
        "nps": 100,
        "nps_low": -48.5,
        "nps_high": 98.5,
    }
    for survey in ("support", "all"):
        made.insert("marts.rpt_nps", {**total, "survey_id": survey, **numbers})
    return made


@pytest.fixture
def docs_folder(settings: Settings) -> Path:
    return settings.home / "docs"
