-- What persons (by address) chose on their preference page, the newest choice by survey; 'all' says how often at most.
with list_events as (

    select * from {{ ref('int_list_events') }} where kind = 'preferred' and person_key is not null

),

ranked as (

    select
        person_key,
        wished_survey_id as survey_id,
        is_wanted,
        at_most_every_days,
        occurred_at as wished_at,
        row_number() over (partition by person_key, wished_survey_id order by seq desc) as entry
    from list_events

),

wishes as (

    select
        person_key,
        survey_id,
        is_wanted,
        at_most_every_days,
        wished_at
    from ranked
    where entry = 1

)

select * from wishes
