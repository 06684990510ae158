-- What persons (by address) chose on their preference page, the newest choice by survey; 'all' says how often at most.
with periods as (

    select * from {{ ref('int_wish_periods') }}

),

wishes as (

    select
        person_key,
        survey_id,
        is_wanted,
        at_most_every_days,
        begins_at as wished_at
    from periods
    where ends_at = {{ far_future() }}

)

select * from wishes
