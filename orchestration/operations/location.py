"""All that the code location `operations` holds. It starts fast, because dbt and Great Expectations stay out of it."""

from __future__ import annotations

from dagster import AssetSelection, Definitions, define_asset_job, in_process_executor

from orchestration.common import catalogue as names
from orchestration.common.platform import Platform, platform_resource
from orchestration.operations import crm_changes, follow_up_work, hand_work, outreach, sensors, webhooks


def definitions(platform: Platform | None = None) -> Definitions:
    """The location with the settings of the environment, or with those of a given platform."""
    return Definitions(
        assets=[
            outreach.response_files,
            outreach.imported_responses,
            outreach.survey_messages,
            outreach.answers,
            outreach.detractor_followups,
            outreach.crm_records,
        ],
        jobs=[
            define_asset_job(
                "dispatch_surveys_job",
                AssetSelection.assets(names.MESSAGES),
                description="Send what is due: sealed invitations, and alerts.",
            ),
            define_asset_job(
                "follow_up_job",
                AssetSelection.assets(names.FOLLOW_UPS),
                description="Set the workflows of new answers in motion, start the clocks, warn before they run out.",
            ),
            define_asset_job(
                "write_back_job",
                AssetSelection.assets(names.WRITTEN_BACK),
                description="Tell the CRM what the workflows planned for it.",
            ),
            define_asset_job(
                "import_responses_job",
                AssetSelection.assets(names.lake_key(names.RESPONSES)),
                description="Read a CSV file with answers of another tool (its path is the config of the step).",
            ),
            *crm_changes.JOBS,
            *hand_work.JOBS,
            *follow_up_work.JOBS,
            *webhooks.JOBS,
        ],
        sensors=sensors.SENSORS,
        schedules=[*sensors.SCHEDULES, *crm_changes.SCHEDULES],
        resources={"platform": platform_resource(platform)},
        executor=in_process_executor,
    )
