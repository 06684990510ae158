"""Names in the asset graph that both code locations use: keys, groups, owners, and what stands outside of Dagster."""

from __future__ import annotations

from dagster import AssetKey, AssetSpec

from closedloop.lake.catalogue import CATALOGUE, CRM_OBJECTS

DATA_ENGINEERS = "team:data-engineering"
ANALYSTS = "team:analytics-engineering"
CUSTOMER_TEAM = "team:customer-experience"

# Groups, in the order of the flow.
SOURCES, LAKE, WORKSHOP, SHOP_WINDOW, OUTREACH = "sources", "lake", "workshop", "shop_window", "outreach"


def lake_key(table: str) -> AssetKey:
    """The asset of a lake table such as `crm.account`; dbt's source of the same name has the same key."""
    return AssetKey(["lake", CATALOGUE[table].view])


CRM_TABLES = tuple(f"crm.{name}" for name in CRM_OBJECTS)
LEDGER_TABLES = tuple(name for name in CATALOGUE if name.startswith("ledger."))
DEFINITIONS = "definitions.surveys"
RESPONSES = "responses.imported"
QUARANTINE = "quarantine.rows"
ARRIVALS = "arrivals.files"

CRM_EXPORTS = AssetKey(["sources", "crm_exports"])
RESPONSE_FILES = AssetKey(["sources", "response_files"])
SURVEY_FILES = AssetKey(["sources", "survey_programmes"])
LEDGER = AssetKey(["sources", "ledger"])
CONTEXT = AssetKey(["lake", "build_context"])
PUBLICATION = AssetKey("publication")
SEALED = AssetKey("sealed_decisions")
MESSAGES = AssetKey(["dispatch", "survey_messages"])
ANSWERS = AssetKey(["respondents", "answers"])
FOLLOW_UPS = AssetKey(["follow_up", "detractor_followups"])
WRITTEN_BACK = AssetKey(["follow_up", "crm_records"])


def source_specs() -> list[AssetSpec]:
    """What stands before the lake: Dagster watches it and does not make it."""
    return [
        AssetSpec(
            CRM_EXPORTS,
            group_name=SOURCES,
            owners=[DATA_ENGINEERS],
            kinds={"salesforce", "csv"},
            description="Export folders of the CRM (CSV files and `export.json`) in the drop folder `exports/` of the "
            "home. A sensor sees new ones and ingests them.",
        ),
        AssetSpec(
            SURVEY_FILES,
            group_name=SOURCES,
            owners=[CUSTOMER_TEAM],
            kinds={"yaml"},
            description="The survey programmes in `surveys/`: who is asked what, when, and how soon again. Each build "
            "takes them into the lake when they changed.",
        ),
        AssetSpec(
            LEDGER,
            group_name=SOURCES,
            owners=[DATA_ENGINEERS],
            kinds={"sqlite"},
            description="The platform's own memory: what was decided, sent, heard and done. Written by the seal, the "
            "sender, the collector and the follow-up (the right end of this graph); every build exports what is new in "
            "it, and so the loop closes.",
        ),
    ]


def quarantine_spec() -> AssetSpec:
    """Rows that could not be read, from both kinds of files."""
    return AssetSpec(
        lake_key(QUARANTINE),
        deps=[CRM_EXPORTS, RESPONSE_FILES],
        group_name=LAKE,
        owners=[DATA_ENGINEERS],
        kinds={"iceberg"},
        description="Rows that could not be what they claim to be, each with file, line, field, reason and remedy; the "
        "rest of their file was loaded. `marts/rpt_quarantine` shows them.",
    )
