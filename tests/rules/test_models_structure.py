"""The rules of the dbt project, read from its manifest: layers, names, contracts, descriptions, keys."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from closedloop.lake.catalogue import CATALOGUE
from closedloop.programme import Rule, TriggerEvent, WaitingRule, band_of
from closedloop.programme.filters import FIELDS
from closedloop.programme.rules import SCHEDULE_DAYS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MARTS = {
    "dim_accounts",
    "dim_contacts",
    "dim_users",
    "dim_custom_fields",
    "dim_surveys",
    "fct_invitations",
    "fct_responses",
    "fct_response_candidates",
    "fct_followups",
    "fct_score_changes",
    "fct_eligibility_decisions",
    "survey_queue",
    "survey_withdrawals",
    "rpt_nps",
    "rpt_nps_change",
    "rpt_nps_by_judgement",
    "rpt_survey_funnel",
    "rpt_closed_loop",
    "rpt_score_paths",
    "rpt_goals",
    "rpt_benchmarks",
    "rpt_themes",
    "rpt_fatigue",
    "rpt_quarantine",
    "publication_audit",
}
# Columns that readers of the published file rely on; more may stand beside them.
PROMISED = {
    "rpt_nps": """survey_type survey_id period_grain period_start segment segment_value responses promoters passives
        detractors nps nps_low nps_high respondents nps_respondents is_reportable""",
    "fct_responses": """response_id invitation_id survey_id survey_type contact_id account_id score category channel
        trigger_event trigger_record_id comment answers submitted_at owner_id_at_response owner_id_current""",
    "fct_invitations": """planned_at sent_at delivered_at opened_at clicked_at responded_at completed_at
        unsubscribed_at bounced_at status""",
    "fct_eligibility_decisions": """candidate_id contact_id survey_id trigger_event trigger_record_id due_at decision
        deciding_rule all_failed_rules decided_as_of""",
    "survey_queue": """candidate_id contact_id survey_id trigger_event trigger_record_id due_at decision
        deciding_rule all_failed_rules decided_as_of""",
    "survey_withdrawals": "invitation_id contact_id survey_id deciding_rule all_failed_rules",
    "fct_followups": """response_id assignee_id assignment_rule acknowledge_due_at due_at first_contact_at
        hours_to_first_contact sla_hours within_sla step status resolution reopened outcome closed_at""",
    "rpt_closed_loop": """period_grain period_start segment segment_value detractors to_follow_up contacted
        contacted_within_sla share_within_sla open in_progress closed mean_hours_to_first_contact
        median_hours_to_first_contact overdue repeat_detractors repeat_detractor_rate""",
}
NAMES = {
    "staging": re.compile(r"^(stg_(crm|ledger|definitions|responses|quarantine|arrivals|replay)__\w+|build_context)$"),
    "intermediate": re.compile(r"^int_\w+$"),
    "marts": re.compile(r"^((dim|fct|rpt)_\w+|survey_queue|survey_withdrawals|publication_audit)$"),
}


@pytest.fixture(scope="module")
def models(manifest: dict) -> dict[str, dict]:
    return {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}


@pytest.fixture(scope="module")
def marts(models: dict[str, dict]) -> dict[str, dict]:
    return {name: node for name, node in models.items() if layer(node) == "marts"}


def layer(node: dict) -> str:
    return node["fqn"][1]


def parents(node: dict, kind: str) -> list[str]:
    return [parent for parent in node["depends_on"]["nodes"] if parent.startswith(f"{kind}.")]


def test_the_marts_are_those_of_the_contract(marts: dict[str, dict]) -> None:
    assert set(marts) == MARTS
    assert {node["database"] for node in marts.values()} == {"shop"}
    assert {node["schema"] for node in marts.values()} == {"marts"}


@pytest.mark.parametrize("name", sorted(MARTS))
def test_every_mart_has_contract_key_and_descriptions(name: str, marts: dict[str, dict], manifest: dict) -> None:
    mart = marts[name]
    assert mart["contract"]["enforced"]
    assert mart["access"] == "public"
    assert mart["description"]
    assert mart["config"]["meta"].get("grain"), "say the grain"
    undescribed = [column["name"] for column in mart["columns"].values() if not column["description"]]
    assert not undescribed
    keys = [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and node.get("attached_node") == mart["unique_id"]
        and node.get("test_metadata", {}).get("name") == "primary_key"
    ]
    assert len(keys) == 1
    missing = set(PROMISED.get(name, "").split()) - set(mart["columns"])
    assert not missing


def test_every_model_is_described_and_named_by_its_layer(models: dict[str, dict]) -> None:
    assert not [name for name, node in models.items() if not node["description"]]
    assert not [name for name, node in models.items() if not NAMES[layer(node)].match(name)]


def test_sources_are_read_by_staging_only_and_one_each(models: dict[str, dict]) -> None:
    for name, node in models.items():
        sources = parents(node, "source")
        if layer(node) == "staging":
            assert len(sources) == 1, name
            assert parents(node, "model") in ([], ["model.closedloop.build_context"]), name
        else:
            assert not sources, f"{name} reads a source past staging"


def test_every_table_of_the_lake_has_its_staging_model(models: dict[str, dict], manifest: dict) -> None:
    sources = {node["name"] for node in manifest["sources"].values()}
    # What a build itself puts beside the lake's tables.
    assert sources == {table.view for table in CATALOGUE.values()} | {"build_context", "replay", "crm_fields"}
    staged = {source.rsplit(".", 1)[1] for node in models.values() for source in parents(node, "source")}
    assert staged == sources


def test_nothing_reads_upwards(models: dict[str, dict]) -> None:
    order = ["staging", "intermediate", "marts"]
    for name, node in models.items():
        for parent in parents(node, "model"):
            other = models[parent.rsplit(".", 1)[1]]
            assert order.index(layer(other)) <= order.index(layer(node)), f"{name} reads {other['name']}"


def test_every_model_is_read_or_published(models: dict[str, dict], manifest: dict) -> None:
    read = {parent for node in models.values() for parent in parents(node, "model")}
    # Staging of objects that no rule reads yet is there for analysts and for triggers to come.
    exposed = {node for exposure in manifest["exposures"].values() for node in exposure["depends_on"]["nodes"]}
    used = read | exposed
    idle = {n["name"] for n in models.values() if layer(n) == "intermediate" and n["unique_id"] not in used}
    assert not idle
    assert len(exposed) > 10


@pytest.mark.parametrize("path", sorted((ROOT / "dbt_project" / "models").rglob("*.sql")), ids=lambda path: path.stem)
def test_a_model_reads_like_a_short_text(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= 110
    assert max(map(len, lines)) <= 120
    if path.stem != "build_context":
        assert re.fullmatch(r"select \* from \w+", lines[-1]), "the last line is 'select * from <the last CTE>'"


def test_names_and_thresholds_are_those_of_the_programme() -> None:
    project = yaml.safe_load((ROOT / "dbt_project.yml").read_text())
    assert project["vars"]["schedule_days"] == {str(event): days for event, days in SCHEDULE_DAYS.items()}
    macro = (ROOT / "dbt_project" / "macros" / "rules.sql").read_text()
    listed = re.findall(r"return\(\[(.*?)\]\)", macro, re.DOTALL)
    assert re.findall(r"'(\w+)'", listed[0]) == [str(rule) for rule in Rule if rule is not Rule.PASSED]
    assert re.findall(r"'(\w+)'", listed[1]) == [str(rule) for rule in WaitingRule]
    assert set(re.findall(r"'(\w+)'", listed[2])) < {str(rule) for rule in Rule}
    fields = (ROOT / "dbt_project" / "macros" / "filters.sql").read_text()
    for subject, names in FIELDS.items():
        own = re.search(rf"'{subject}': \{{(.*?)\}},\n", fields, re.DOTALL)
        assert own and set(re.findall(r"'(\w+)':", own.group(1))) == set(names)
    events = (ROOT / "dbt_project" / "models" / "intermediate" / "asking").glob("int_*.sql")
    text = "".join(path.read_text() for path in events) + str(project["vars"]["schedule_days"])
    assert all(f"'{event}'" in text for event in TriggerEvent)


def test_sql_and_python_agree_on_the_bands(manifest: dict) -> None:
    unit = next(u for u in manifest["unit_tests"].values() if u["name"] == "scores_fall_into_their_bands")
    given = {row["response_id"]: row["score"] for row in unit["given"][0]["rows"]}
    said = {given[row["response_id"]]: row["category"] for row in unit["expect"]["rows"]}
    assert said == {score: str(band_of(score)) for score in range(11)}


def test_telemetry_is_off_and_no_package_is_needed() -> None:
    project = yaml.safe_load((ROOT / "dbt_project.yml").read_text())
    assert project["flags"]["send_anonymous_usage_stats"] is False
    assert not (ROOT / "packages.yml").exists()
    assert json.dumps(project).count("hub.getdbt") == 0
