"""Every table of the lake with its canonical columns: read by the lake's views, dbt's staging and the demo alike.

CRM columns are text whatever they hold; staging types them. An export may bring further columns: they land too, as
text, after the canonical ones. Times are UTC without a zone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "timestamp", "bigint"]

DUCKDB_TYPE: dict[Kind, str] = {"text": "VARCHAR", "timestamp": "TIMESTAMP", "bigint": "BIGINT"}

ARRIVAL: dict[str, Kind] = {"_batch_id": "text", "_ingested_at": "timestamp", "_source": "text"}
"""What `Lake.append` adds to each row: which batch brought it, when we learned it, from where."""


@dataclass(frozen=True)
class LakeTable:
    """One table: `name` is `<namespace>.<table>`, `columns` are in order and end with those of ARRIVAL."""

    name: str
    columns: dict[str, Kind]

    @property
    def view(self) -> str:
        """Its name in the schema `lake` of a DuckDB that `Lake.create_views` prepared."""
        return self.name.replace(".", "_", 1)


CRM_KEYS = ("Id", "CreatedDate", "SystemModstamp", "IsDeleted")
"""Every CRM object has these."""

CRM_STATE: dict[str, Kind] = {"_op": "text", "_row_hash": "text", "_exported_at": "timestamp"}
"""'upsert' or 'delete'; a hash over the source columns; when the export was taken in the source."""

# Salesforce's own names. The first name is the file of an export, the second the table.
CRM_FILES: dict[str, str] = {
    "Account": "account",
    "Contact": "contact",
    "User": "user",
    "Opportunity": "opportunity",
    "OpportunityContactRole": "opportunity_contact_role",
    "Project__c": "project",
    "Order": "order",
    "OrderItem": "order_item",
    "Contract": "contract",
    "Task": "task",
    "Case": "case",
    "Product2": "product",
    "Asset": "asset",
    "Lead": "lead",
    "SignUp__c": "sign_up",
    "Adoption__c": "adoption",
}

_CRM_COLUMNS = {
    "account": """Name Type Industry Tier__c Segment__c Region__c Plan__c OwnerId CSM__c ContractValue__c
        LifetimeValue__c AdoptionScore__c CustomerSince__c RenewalDate__c ParentId""",
    "contact": """AccountId FirstName LastName Email MobilePhone Role__c Title IsPrimary__c TimeZone__c Language__c
        HasOptedOutOfEmail""",
    "user": "Name Email ManagerId IsActive Region__c Team__c",
    "opportunity": "AccountId Name OwnerId StageName IsWon IsClosed Amount CloseDate Product2Id__c",
    "opportunity_contact_role": "OpportunityId ContactId Role IsPrimary",
    "project": """Account__c Opportunity__c Name Status__c Cost__c Revenue__c StartDate__c FinishedDate__c
        Manager__c""",
    "order": "AccountId BillToContactId OwnerId Status EffectiveDate DeliveredDate__c TotalAmount",
    "order_item": "OrderId Product2Id Quantity UnitPrice ProductCategory__c",
    "contract": """AccountId Status StartDate EndDate ActivatedDate IsRenewal__c RenewedDate__c
        ContractValue__c""",
    "task": "WhatId WhoId OwnerId Subject Type Status IsClosed ActivityDate CompletedDateTime",
    "case": "CaseNumber AccountId ContactId OwnerId Status Priority IsClosed ClosedDate Reason",
    "product": "Name ProductCode Family IsActive",
    "asset": "AccountId ContactId Product2Id Status InstallDate",
    "lead": """FirstName LastName Company Email MobilePhone Status IsConverted ConvertedContactId ConvertedDate LeadSource
        HasOptedOutOfEmail""",
    "sign_up": "Lead__c Contact__c Kind__c SignedUpDate__c",
    "adoption": "Account__c Month__c ActiveUsers__c FeatureAdoption__c",
}

CRM_OBJECTS: dict[str, tuple[str, ...]] = {
    name: (*CRM_KEYS, *columns.split()) for name, columns in _CRM_COLUMNS.items()
}
"""Canonical source columns of each CRM object."""


_MOMENTS = "CreatedDate SystemModstamp ClosedDate CompletedDateTime ActivatedDate"
_DATES = """CustomerSince__c RenewalDate__c CloseDate StartDate__c FinishedDate__c EffectiveDate DeliveredDate__c StartDate
    EndDate RenewedDate__c ActivityDate InstallDate ConvertedDate SignedUpDate__c Month__c"""

CRM_TIMES: dict[str, Literal["date", "datetime"]] = {
    **{name: "datetime" for name in _MOMENTS.split()},
    **{name: "date" for name in _DATES.split()},
}
"""Canonical columns that hold times. They land as text too: dates as 2026-03-02, moments as 2026-03-02T09:00:00.000Z."""


def _text(*names: str) -> dict[str, Kind]:
    return dict.fromkeys(names, "text")


def _times(*names: str) -> dict[str, Kind]:
    return dict.fromkeys(names, "timestamp")


_RESPONSES: dict[str, Kind] = {
    **_text("external_id", "survey", "survey_type", "contact_id", "contact_email", "account_id"),
    # Normalised '0'..'10', or '' when invited and not answered; other scales keep their own numbers.
    **_text("score", "comment", "channel"),
    **_times("submitted_at"),
    **_text("scale", "attributes", "content_hash", "source_file"),
    "source_line": "bigint",
}

_QUARANTINE: dict[str, Kind] = {
    **_text("source", "object", "file"),
    "line": "bigint",
    **_text("field", "reason", "problem", "remedy", "raw", "row_key"),
}

# The ledger's exported tables hold the columns of closedloop/ledger/schema.py without the batch; a test compares them.
_LEDGER: dict[str, dict[str, Kind]] = {
    "evaluations": {
        **_text("evaluation_id", "predecessor_id", "publication_id"),
        **_times("as_of", "known_at"),
        **_text("definitions_hash"),
        "asks": "bigint",
        "skips": "bigint",
        **_times("sealed_at"),
    },
    "decisions": {
        **_text("candidate_id", "evaluation_id", "contact_id", "account_id", "person_key", "survey_id", "wave_id"),
        **_text("trigger_event", "trigger_record_id"),
        **_times("due_at"),
        **_text("decision", "deciding_rule", "all_failed_rules"),
        **_times("decided_as_of"),
        **_text("facts"),
    },
    "events": {
        "seq": "bigint",
        **_text("kind", "message_id", "invitation_id", "survey_id", "contact_id", "account_id"),
        **_times("occurred_at", "recorded_at"),
        **_text("payload"),
    },
    "publications": {
        "seq": "bigint",
        **_text("publication_id", "build_id"),
        **_times("as_of", "known_at"),
        **_text("definitions_hash", "code_version"),
        "checks_passed": "bigint",
        **_times("published_at"),
    },
}

_TABLES: dict[str, dict[str, Kind]] = {
    **{f"crm.{name}": _text(*columns) | CRM_STATE for name, columns in CRM_OBJECTS.items()},
    "responses.imported": _RESPONSES,
    "quarantine.rows": _QUARANTINE,
    **{f"ledger.{name}": columns for name, columns in _LEDGER.items()},
    # One row per file and object that was taken in: how a file seen before is known, and what freshness is read from.
    "arrivals.files": {
        **_text("source", "object", "file", "mode"),
        **_times("exported_at"),
        **_text("content_hash", "mapping_hash"),
        **dict.fromkeys(("rows_read", "loaded", "unchanged", "deleted", "quarantined"), "bigint"),
        **_text("reasons"),  # JSON: how many rows wait for which reason
    },
    "definitions.surveys": _text("survey_id", "definition_hash", "definition", "status"),
}

CATALOGUE: dict[str, LakeTable] = {name: LakeTable(name, columns | ARRIVAL) for name, columns in _TABLES.items()}
"""All tables by name, such as `crm.account`."""
