-- Addresses (as person keys) that get no mail now, by the first reason of those that stand; or none of one survey.
with periods as (

    select * from {{ ref('int_suppression_periods') }} where ends_at = {{ far_future() }}

),

ranked as (

    select
        *,
        -- Who gets no mail at all need not be told of single surveys.
        row_number() over (
            partition by person_key, survey_id
            order by seq
        ) as entry,
        max(case when survey_id is null then 1 else 0 end) over (partition by person_key) = 1 as gets_none
    from periods

),

suppressions as (

    select
        person_key,
        survey_id,
        reason,
        begins_at as suppressed_since
    from ranked
    where entry = 1
        and (survey_id is null or not gets_none)

)

select * from suppressions
