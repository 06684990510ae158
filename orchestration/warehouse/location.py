"""All that the code location `warehouse` holds."""

from __future__ import annotations

from dagster import AssetChecksDefinition, AssetSelection, Definitions, define_asset_job, in_process_executor

from closedloop.settings import load_settings
from orchestration.common import catalogue as names
from orchestration.common.platform import Platform, platform_resource
from orchestration.warehouse import rehearsals, sensors
from orchestration.warehouse.crm import ingest_crm
from orchestration.warehouse.gates import gate_checks
from orchestration.warehouse.models import models
from orchestration.warehouse.project import load_manifest
from orchestration.warehouse.shop_window import publication, reports_of_day, sealed_decisions
from orchestration.warehouse.workshop import start_build


def definitions(platform: Platform | None = None) -> Definitions:
    """The location with the settings of the environment, or with those of a given platform."""
    dbt = models(load_manifest(platform.settings if platform else load_settings()))
    published = publication(key for key in dbt.keys if key.path[0] == "marts")
    gates = gate_checks()
    build = AssetSelection.assets(start_build, dbt, published)
    checks = _all_checks(gates)
    return Definitions(
        assets=[
            *names.source_specs(),
            names.quarantine_spec(),
            ingest_crm,
            start_build,
            dbt,
            published,
            sealed_decisions,
            reports_of_day,
        ],
        asset_checks=gates,
        jobs=[
            define_asset_job(
                "ingest_crm_job",
                AssetSelection.assets(ingest_crm).without_checks(),
                description="Read new CRM exports into the lake.",
            ),
            define_asset_job(
                "build_and_publish_job",
                build | checks,
                description="Fix what the build stands on, run dbt, pass the three gates, publish.",
            ),
            define_asset_job(
                "publish_job",
                AssetSelection.assets(published),
                description="Publish what stands in the workshop; it refuses unless all checks of that build passed.",
            ),
            define_asset_job(
                "plan_surveys_job",
                AssetSelection.assets(sealed_decisions),
                description="Seal the proposals of the newest publication: who is asked, and who is not and why.",
            ),
            define_asset_job(
                "build_and_plan_job",
                build | checks | AssetSelection.assets(sealed_decisions),
                description="The whole morning: build, check, publish, then seal.",
            ),
            define_asset_job(
                "reports_of_day_job",
                AssetSelection.assets(reports_of_day),
                description="The reports of a past day, built again beside the real workshop (one partition per day).",
            ),
            *rehearsals.JOBS,
        ],
        sensors=sensors.SENSORS,
        schedules=sensors.SCHEDULES,
        resources={"platform": platform_resource(platform)},
        executor=in_process_executor,
    )


def _all_checks(gates: list[AssetChecksDefinition]) -> AssetSelection:
    return AssetSelection.checks(*(key for gate in gates for key in gate.check_keys))
