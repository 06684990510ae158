-- One row per trigger of each active survey; in a what-if, which plays one survey through, of that one.
with surveys as (

    select * from {{ ref('int_survey_definitions') }} where status = 'active'

),

positions as (

    select * from {{ ref('int_numbers') }} where n < 50

),

period as (

    select
        min(starts_on) as starts_on,
        min(survey_id) as survey_id
    from {{ ref('stg_replay__period') }}

),

unfolded as (

    select
        surveys.survey_id,
        positions.n as trigger_no,
        {{ json_text('surveys.definition', "'$.triggers[' || cast(positions.n as string) || ']'") }} as trigger_json
    from surveys
    cross join positions

),

parsed as (

    select
        survey_id,
        trigger_no,
        {{ json_text('trigger_json', "'$.event'") }} as trigger_event,
        coalesce({{ json_text('trigger_json', "'$.key'") }}, '') as trigger_key,
        coalesce({{ json_text('trigger_json', "'$.contacts'") }}, 'primary') as contacts,
        coalesce(cast({{ safe_number(json_text('trigger_json', "'$.delay_days'")) }} as bigint), 0) as delay_days,
        cast({{ safe_number(json_text('trigger_json', "'$.max_age_days'")) }} as bigint) as own_max_age_days,
        trigger_json
    from unfolded
    where trigger_json is not null

),

triggers as (

    select
        parsed.survey_id,
        parsed.trigger_no,
        parsed.trigger_event,
        parsed.trigger_key,
        parsed.contacts,
        parsed.delay_days,
        parsed.trigger_json,
        count(*) over (partition by parsed.survey_id, parsed.trigger_event) > 1 as has_twin,

        surveys.priority,
        coalesce(parsed.own_max_age_days, surveys.max_age_days) as max_age_days,
        surveys.cooldown_days,
        surveys.cooldown_scope,
        surveys.family,
        surveys.skip_after_response_days,
        surveys.definition_hash,

        {{ add_days(
            'surveys.activated_at', '-coalesce(parsed.own_max_age_days, surveys.max_age_days)'
        ) }} as earliest_due_at,
        cast(period.starts_on as timestamp) as replay_from
    from parsed
    inner join surveys on surveys.survey_id = parsed.survey_id
    inner join period on period.survey_id is null or period.survey_id = parsed.survey_id

)

select * from triggers
