"""Both code locations load, say what they hold, and keep apart what must be apart."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from closedloop.lake.catalogue import CATALOGUE
from orchestration.common import catalogue as names
from orchestration.common.platform import Platform

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def locations(tmp_path_factory: pytest.TempPathFactory):
    from closedloop.settings import Settings
    from orchestration.operations.location import definitions as operations
    from orchestration.warehouse.location import definitions as warehouse

    platform = Platform.of(Settings(home=tmp_path_factory.mktemp("locations"), _env_file=None), quiet=True)
    return {
        "warehouse": warehouse(platform).get_repository_def(),
        "operations": operations(platform).get_repository_def(),
    }


def test_the_workspace_names_exactly_these_locations(locations) -> None:
    entries = [entry["python_module"] for entry in yaml.safe_load((ROOT / "workspace.yaml").read_text())["load_from"]]
    assert {entry["location_name"] for entry in entries} == set(locations)
    for entry in entries:
        assert entry["module_name"] == f"orchestration.{entry['location_name']}.definitions"


def test_all_jobs_sensors_and_schedules_are_there_and_run_by_themselves(locations) -> None:
    jobs = {job.name for repository in locations.values() for job in repository.get_all_jobs()}
    assert {
        "ingest_crm_job",
        "build_and_publish_job",
        "build_and_plan_job",
        "plan_surveys_job",
        "reports_of_day_job",
        "dispatch_surveys_job",
        "follow_up_job",
        "import_responses_job",
        "exclusions_job",
        "import_suppressions_job",
        "first_contact_job",
        "outcome_job",
        "follow_up_step_job",
        "hand_over_job",
        "absences_job",
        "retry_actions_job",
        "replay_webhooks_job",
        "ingest_salesforce_job",
        "ingest_hubspot_job",
        "approve_wave_job",
        "survey_plan_job",
        "what_if_job",
        "explain_contact_job",
        "webhooks_job",
    } <= jobs
    for repository in locations.values():
        for automation in (*repository.sensor_defs, *repository.schedule_defs):
            assert automation.default_status.value == "RUNNING", automation.name
            assert automation.description, automation.name


def test_every_asset_says_what_it_is_and_whose(locations) -> None:
    for repository in locations.values():
        graph = repository.asset_graph
        own = [key for key in graph.get_all_asset_keys() if graph.get(key).group_name != "default"]
        assert own
        for key in own:
            node = graph.get(key)
            assert node.description and node.owners and node.kinds, key.to_user_string()
        # What stands without a group is defined by the other location.
        for key in set(graph.get_all_asset_keys()) - set(own):
            others = [one.asset_graph for one in locations.values() if one is not repository]
            assert any(key in other.get_all_asset_keys() and other.get(key).group_name != "default" for other in others)


def test_the_lineage_is_connected_from_the_export_to_the_follow_up(locations) -> None:
    parents = {}
    for repository in locations.values():
        graph = repository.asset_graph
        for key in graph.get_all_asset_keys():
            parents.setdefault(key, set()).update(graph.get(key).parent_keys)
    before, waiting = set(), [names.FOLLOW_UPS]
    while waiting:
        key = waiting.pop()
        if key not in before:
            before.add(key)
            waiting += parents.get(key, ())
    assert {names.CRM_EXPORTS, names.LEDGER, names.SURVEY_FILES, names.CONTEXT, names.PUBLICATION} <= before
    assert {names.lake_key(table) for table in CATALOGUE} <= before
    assert names.FOLLOW_UPS not in {parent for key in before for parent in parents[key]}, "a circle has no order"


def test_dbt_is_one_step_of_a_build_and_the_gates_stand_around_it(locations) -> None:
    job = next(job for job in locations["warehouse"].get_all_jobs() if job.name == "build_and_publish_job")
    before = {
        node.name: {dep.node for deps in job.dependencies[node].values() for dep in deps.get_node_dependencies()}
        for node in job.dependencies
    }
    assert set(before) == {"start_build", "gate_arrived", "dbt_build", "gate_sending", "gate_published", "publication"}
    assert before["gate_arrived"] == {"start_build"}
    assert before["dbt_build"] == {"start_build", "gate_arrived"}
    assert before["publication"] == {"dbt_build", "gate_sending", "gate_published"}


def test_every_step_that_writes_the_warehouse_is_in_the_pool(locations) -> None:
    job = next(job for job in locations["warehouse"].get_all_jobs() if job.name == "build_and_publish_job")
    for node in job.nodes:
        assert node.definition.pools == {"duckdb_write"}, node.name


def test_data_tests_of_dbt_are_checks_of_their_models(locations) -> None:
    graph = locations["warehouse"].asset_graph
    own = [key for key in graph.asset_check_keys if key.asset_key.path[0] in {"marts", "staging", "intermediate"}]
    assert len([key for key in own if key.name not in {"sending", "published"}]) > 20


def test_operations_load_neither_dbt_nor_great_expectations() -> None:
    code = (
        "import sys; from orchestration.operations.definitions import defs; defs.get_repository_def();"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'dbt', 'dagster_dbt', 'great_expectations'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
