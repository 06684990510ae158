"""The facts of the plain model as rows of the lake, and dbt in this process to build the models over them."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from closedloop.identity import person_key
from closedloop.programme import Survey
from orchestration.dbt import _close_connections
from tests.integration.dbt.warehouse import make_warehouse, show_fields
from tests.support import rules_model as model

ROOT = Path(__file__).resolve().parents[2]
QUEUE = (
    *("candidate_id", "contact_id", "account_id", "person_key", "survey_id", "wave_id", "trigger_event"),
    *("trigger_record_id", "due_at", "decision", "deciding_rule", "all_failed_rules", "decided_as_of"),
)


class RulesWorkshop:
    """A warehouse that facts are appended to as they arrive."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.compiled: dict[tuple[str, ...], list[tuple[str, str, str]]] = {}
        make_warehouse(self.file, as_of=dt.datetime(2000, 1, 1), rows={})  # noqa: DTZ001
        with duckdb.connect(str(self.file)) as con:
            con.execute('alter table lake.crm_account add column "Health__c" varchar')

    @property
    def file(self) -> Path:
        return self.home / "dev.duckdb"

    def append(self, facts: Iterable[Any]) -> None:
        tables: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for fact in facts:
            for table, row in rows_of(fact):
                tables[table].append(row)
        with duckdb.connect(str(self.file)) as con:
            for table, rows in tables.items():
                _insert(con, table, rows)
            show_fields(con)

    def build(
        self,
        as_of: dt.datetime,
        known_at: dt.datetime,
        *select: str,
        replay: Sequence[object] | None = None,
    ) -> None:
        """Build the selected models at these times; `replay` is the row of lake.replay.

        The first time dbt builds them; then the statements that it compiled are run again, in its order: most of a
        dbt run is dbt, and no model's SQL depends on data.
        """
        with duckdb.connect(str(self.file)) as con:
            con.execute("update lake.build_context set as_of = ?, known_at = ?", [as_of, known_at])
            con.execute("delete from lake.replay")
            if replay:
                con.execute("insert into lake.replay values (?, ?, ?, ?)", list(replay))
        if select in self.compiled:
            with self._connect() as con:
                for kind, name, sql in self.compiled[select]:
                    con.execute(f"create or replace {kind} {name} as ({sql})")
        else:
            self.compiled[select] = self._dbt(select)

    def _dbt(self, select: Sequence[str]) -> list[tuple[str, str, str]]:
        from dbt.cli.main import dbtRunner

        os.environ |= {"CLOSEDLOOP_HOME": str(self.home), "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
        try:
            done = dbtRunner().invoke([
                *("--quiet", "build", "--exclude-resource-type", "unit_test", "--exclude-resource-type", "test"),
                # Compiled once and run at many times: the query must not depend on the programmes of one.
                *("--vars", "{leave_out_unused: false}"),
                *("--select", *select, "--target", "dev", "--project-dir", str(ROOT), "--profiles-dir", str(ROOT)),
                *("--target-path", str(self.home / "target"), "--log-path", str(self.home / "logs")),
            ])  # fmt: skip
        finally:
            _close_connections()
        assert done.success, done.exception or [row.message for row in done.result if row.status == "error"]
        return [
            (row.node.config.materialized, row.node.relation_name, row.node.compiled_code)
            for row in done.result
            if row.node.resource_type == "model"
        ]

    def _connect(self) -> duckdb.DuckDBPyConnection:
        con = duckdb.connect(str(self.file), config={"threads": 2})
        con.execute(f"set TimeZone = 'UTC'; attach '{self.home / 'dev-marts.duckdb'}' as shop")
        return con

    def seal(self, rows: Iterable[dict[str, Any]], as_of: dt.datetime, at: dt.datetime) -> None:
        """Append asks and skips of a queue to the ledger, as the platform seals them."""
        evaluation = f"e-{at:%Y%m%dT%H%M%S}"
        decided = [
            {**row, "evaluation_id": evaluation, "_ingested_at": at} for row in rows if row["decision"] != "defer"
        ]
        chain = {"evaluation_id": evaluation, "as_of": as_of, "known_at": as_of, "sealed_at": at, "_ingested_at": at}
        with duckdb.connect(str(self.file)) as con:
            _insert(con, "ledger_decisions", decided)
            _insert(con, "ledger_evaluations", [chain])

    def seal_decisions(self, decisions: Iterable[model.Decision]) -> None:
        """The same of decisions that the plain model made."""
        for moment, some in groupby(decisions, key=lambda one: (one.as_of, one.sealed_at)):
            rows = [
                {
                    "candidate_id": one.candidate_id,
                    "contact_id": one.contact_id,
                    "account_id": one.account_id,
                    "person_key": person_key(one.person) if one.person else None,
                    "survey_id": one.survey_id,
                    "wave_id": f"{one.survey_id}:{one.as_of.date()}",
                    "trigger_event": one.event,
                    "trigger_record_id": one.record_id,
                    "decision": one.decision,
                }
                for one in some
            ]
            self.seal(rows, *moment)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self._connect() as con:
            return con.execute(sql).fetchall()

    def queue(self) -> list[dict[str, Any]]:
        rows = self.query(f"select {', '.join(QUEUE)} from shop.marts.survey_queue")
        return [dict(zip(QUEUE, row, strict=True)) for row in rows]


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, Any]]) -> None:
    if rows:
        names = dict.fromkeys(name for row in rows for name in row)
        con.register("arrived", pa.table({name: pa.array([row.get(name) for row in rows]) for name in names}))
        con.execute(f"insert into lake.{table} by name select * from arrived")
        con.unregister("arrived")


def survey(survey_id: str, **settings: Any) -> Survey:
    defaults = {"name": survey_id, "type": "transactional", "status": "active", "company": "Example"}
    return Survey.model_validate({"id": survey_id, **defaults, **settings})


def rows_of(fact: Any) -> Iterable[tuple[str, dict[str, Any]]]:
    """The rows of the lake that say it."""
    if isinstance(fact, model.Version):
        yield from _crm(fact)
    elif isinstance(fact, model.Programme):
        yield (
            "definitions_surveys",
            {
                "survey_id": fact.survey.id,
                "definition_hash": fact.survey.definition_hash,
                "definition": fact.survey.definition,
                "status": fact.status,
                "_batch_id": f"{fact.known_at}",
                "_ingested_at": fact.known_at,
            },
        )
    elif isinstance(fact, model.Mail):
        yield _event(fact, fact.kind, fact.invitation_id, message_kind=fact.message, hard=fact.is_hard)
    elif isinstance(fact, model.Answer):
        if fact.voided:
            yield _event(fact, "voided", fact.invitation_id)
        else:
            yield _event(fact, "answered", fact.invitation_id, score=9, judged="human", message_kind="invitation")
    elif isinstance(fact, model.Listed):
        until = f"{fact.until.isoformat()}Z" if fact.until else None
        if fact.kind == "suppressed_address":
            yield _event(fact, fact.kind, None, person_key=person_key(fact.subject_id), reason=fact.reason)
        elif fact.kind == "resubscribed":
            yield _event(fact, fact.kind, None, person_key=person_key(fact.subject_id))
        else:
            yield _event(fact, fact.kind, None, subject=fact.subject, subject_id=fact.subject_id, until=until)
    elif isinstance(fact, model.Wish):
        chosen = {"survey_id": fact.survey_id, "wanted": fact.is_wanted, "at_most_every_days": fact.days}
        yield _event(fact, "preferred", None, person_key=person_key(fact.person), **chosen)
    elif isinstance(fact, model.Imported):
        yield (
            "responses_imported",
            {
                "external_id": fact.id,
                "survey": fact.survey_id,
                "survey_type": "relationship",
                "contact_id": fact.contact_id,
                "contact_email": fact.email,
                "account_id": fact.account_id,
                "score": "9" if fact.answered else "",
                "submitted_at": fact.at,
                "scale": "0-10",
                "attributes": "{}",
                "content_hash": fact.id,
                "source_file": "other.csv",
                "source_line": 2,
                "_ingested_at": fact.known_at,
            },
        )


def _event(fact: Any, kind: str, invitation_id: str | None, **payload: Any) -> tuple[str, dict[str, Any]]:
    return (
        "ledger_events",
        {
            "seq": fact.seq,
            "kind": kind,
            "invitation_id": invitation_id,
            "occurred_at": fact.at,
            "recorded_at": fact.known_at,
            "payload": json.dumps({name: value for name, value in payload.items() if value is not None}),
            "_ingested_at": fact.known_at,
        },
    )


def _moment(at: dt.datetime | None) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.000Z" if at else ""


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _crm(fact: model.Version) -> Iterable[tuple[str, dict[str, Any]]]:
    name = {
        model.Account: "account",
        model.Contact: "contact",
        model.Lead: "lead",
        model.Deal: "opportunity",
        model.Ticket: "case",
        model.Order: "order",
        model.Project: "project",
        model.Contract: "contract",
        model.Task: "task",
        model.SignUp: "sign_up",
    }[fact.kind]
    one = fact.record
    row = {
        "Id": fact.id,
        "SystemModstamp": _moment(fact.at),
        "IsDeleted": "false",
        "_op": "upsert" if one else "delete",
        "_row_hash": f"{fact.at}{fact.known_at}",
        "_exported_at": fact.known_at,
        "_ingested_at": fact.known_at,
    }
    if one is None:
        yield f"crm_{name}", row | {"_exported_at": fact.at}
        return
    yield f"crm_{name}", row | {"CreatedDate": _moment(one.created_at)} | _columns(one)
    if isinstance(one, model.Deal) and one.contact_id:
        role = {"Id": f"role-{one.id}", "OpportunityId": one.id, "ContactId": one.contact_id, "IsPrimary": "true"}
        yield "crm_opportunity_contact_role", row | role


def _columns(one: Any) -> dict[str, str]:
    match one:
        case model.Account():
            named = {
                "Type": one.type,
                "Tier__c": one.tier,
                "Region__c": one.region,
                "ContractValue__c": one.contract_value,
                "CustomerSince__c": one.customer_since,
                "RenewalDate__c": one.renewal_date,
                "Health__c": one.health,
            }
        case model.Contact():
            named = {
                "AccountId": one.account_id,
                "Email": one.email,
                "Role__c": one.role,
                "IsPrimary__c": one.is_primary,
                "TimeZone__c": one.time_zone,
                "HasOptedOutOfEmail": one.opted_out,
            }
        case model.Lead():
            named = {
                "Email": one.email,
                "HasOptedOutOfEmail": one.opted_out,
                "IsConverted": one.is_converted,
                "ConvertedContactId": one.converted_contact_id,
            }
        case model.Deal():
            named = {
                "AccountId": one.account_id,
                "IsWon": one.is_won,
                "IsClosed": one.is_closed,
                "CloseDate": one.closed_on,
            }
        case model.Ticket():
            named = {
                "AccountId": one.account_id,
                "ContactId": one.contact_id,
                "IsClosed": one.closed_at is not None,
                "ClosedDate": _moment(one.closed_at),
                "Priority": one.priority,
            }
        case model.Order():
            named = {
                "AccountId": one.account_id,
                "BillToContactId": one.contact_id,
                "EffectiveDate": one.placed_on,
                "DeliveredDate__c": one.delivered_on,
                "Status": one.status,
            }
        case model.Project():
            named = {"Account__c": one.account_id, "FinishedDate__c": one.finished_on}
        case model.Contract():
            named = {
                "AccountId": one.account_id,
                "IsRenewal__c": one.is_renewal,
                "StartDate": one.starts_on,
                "RenewedDate__c": one.renewed_on,
            }
        case model.Task():
            named = {
                "WhatId": one.account_id,
                "Subject": one.kind,
                "IsClosed": one.is_closed,
                "CompletedDateTime": _moment(one.completed_at),
            }
        case model.SignUp():
            named = {
                "Lead__c": one.lead_id,
                "Contact__c": one.contact_id,
                "Kind__c": one.kind,
                "SignedUpDate__c": one.on,
            }
    return {column: _text(value) for column, value in named.items()}
