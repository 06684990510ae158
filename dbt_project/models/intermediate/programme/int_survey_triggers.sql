-- One row per trigger of each active survey.
with surveys as (

    select * from {{ ref('int_survey_definitions') }} where status = 'active'

),

positions as (

    select * from {{ ref('int_numbers') }} where n < 50

),

unfolded as (

    select
        surveys.survey_id,
        {{ json_text('surveys.definition', "'$.triggers[' || cast(positions.n as string) || '].event'") }}
            as trigger_event,
        coalesce(
            cast({{ safe_number(json_text(
                'surveys.definition', "'$.triggers[' || cast(positions.n as string) || '].delay_days'"
            )) }} as bigint),
            0
        ) as delay_days
    from surveys
    cross join positions

),

triggers as (

    select
        unfolded.survey_id,
        unfolded.trigger_event,
        unfolded.delay_days,

        surveys.priority,
        surveys.max_age_days,
        surveys.cooldown_days,
        surveys.cooldown_scope,
        surveys.skip_after_response_days,
        surveys.definition_hash,

        {{ add_days('surveys.activated_at', '-surveys.max_age_days') }} as earliest_due_at
    from unfolded
    inner join surveys on surveys.survey_id = unfolded.survey_id
    where unfolded.trigger_event is not null

)

select * from triggers
