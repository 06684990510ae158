with definitions as (

    select * from {{ ref('int_survey_definitions') }}

),

imported as (

    select * from {{ ref('int_imported_answers') }}

),

suspects as (

    select * from {{ ref('int_suspect_scales') }}

),

own as (

    select
        survey_id,
        survey_name,
        survey_type,
        status,
        in_headline,
        false as is_external,
        company,

        cooldown_days,
        cooldown_scope,
        max_age_days,
        priority,

        {{ safe_number(json_text('definition', "'$.targets.nps'")) }} as target_nps,
        {{ safe_number(json_text('definition', "'$.targets.response_rate'")) }} as target_response_rate,
        {{ safe_number(json_text('definition', "'$.targets.half_width'")) }} as target_half_width,

        definition_hash,
        first_known_at
    from definitions

),

external as (

    -- Known from imported answers only.
    select
        imported.survey_id,
        imported.survey_id as survey_name,
        min(imported.survey_type) as survey_type,
        'external' as status,
        true as in_headline,
        true as is_external,
        cast(null as string) as company,

        cast(null as bigint) as cooldown_days,
        cast(null as string) as cooldown_scope,
        cast(null as bigint) as max_age_days,
        cast(null as bigint) as priority,

        cast(null as double) as target_nps,
        cast(null as double) as target_response_rate,
        cast(null as double) as target_half_width,

        cast(null as string) as definition_hash,
        min(imported.contacted_at) as first_known_at
    from imported
    where not exists (
        select 1 from definitions where definitions.survey_id = imported.survey_id
    )
    group by imported.survey_id

),

surveys as (

    select * from own
    union all
    select * from external

),

dimension as (

    select
        surveys.*,
        suspects.survey_id is not null as is_suspect_scale
    from surveys
    left join suspects on suspects.survey_id = surveys.survey_id

)

select * from dimension
