-- One row per survey programme that was ever known, its newest definition as columns.
with versions as (

    select * from {{ ref('stg_definitions__versions') }}

),

newest as (

    -- A removed programme has a newest row without content: its last content stays.
    select
        survey_id,
        definition_hash,
        definition,
        row_number() over (
            partition by survey_id
            order by case when definition is null then 1 else 0 end, age
        ) as content_rank,
        first_value(status) over (partition by survey_id order by age) as status
    from versions

),

last_inactive as (

    select
        survey_id,
        min(age) as age
    from versions
    where status <> 'active'
    group by survey_id

),

activated as (

    -- Since when it has been active without a break; null when it isn't.
    select
        versions.survey_id,
        min(versions.known_from) as activated_at
    from versions
    left join last_inactive on last_inactive.survey_id = versions.survey_id
    where versions.age < coalesce(last_inactive.age, 2147483647)
    group by versions.survey_id

),

first_known as (

    select
        survey_id,
        min(known_from) as first_known_at
    from versions
    group by survey_id

),

parsed as (

    select
        newest.survey_id,
        newest.definition_hash,
        newest.definition,
        newest.status,
        coalesce({{ json_text('newest.definition', "'$.name'") }}, newest.survey_id) as survey_name,
        {{ json_text('newest.definition', "'$.type'") }} as survey_type,
        {{ json_text('newest.definition', "'$.company'") }} as company,

        {{ safe_boolean(json_text('newest.definition', "'$.in_headline'")) }} as in_headline,
        cast({{ safe_number(json_text('newest.definition', "'$.priority'")) }} as bigint) as priority,
        cast({{ safe_number(json_text('newest.definition', "'$.max_age_days'")) }} as bigint) as max_age_days,
        cast({{ safe_number(json_text('newest.definition', "'$.cooldown.days'")) }} as bigint) as cooldown_days,
        {{ json_text('newest.definition', "'$.cooldown.scope'") }} as cooldown_scope,
        {{ json_text('newest.definition', "'$.family'") }} as family,
        cast({{ safe_number(json_text('newest.definition', "'$.skip_after_response_days'")) }} as bigint)
            as skip_after_response_days,

        activated.activated_at,
        first_known.first_known_at
    from newest
    left join activated on activated.survey_id = newest.survey_id
    inner join first_known on first_known.survey_id = newest.survey_id
    where newest.content_rank = 1

)

select * from parsed
