-- What persons (by address) chose on their preference page, and from when to when each choice stood; 'all' says how
-- often at most. Of what was told late, the newest that was made by a time stands then.
with list_events as (

    select * from {{ ref('int_list_events') }} where kind = 'preferred' and person_key is not null

),

wishes as (

    select
        person_key,
        wished_survey_id as survey_id,
        is_wanted,
        at_most_every_days,
        seq,
        occurred_at as begins_at,
        min(occurred_at) over (
            partition by person_key, wished_survey_id
            order by seq
            rows between 1 following and unbounded following
        ) as changed_at
    from list_events

),

periods as (

    select
        person_key,
        survey_id,
        is_wanted,
        at_most_every_days,
        seq,
        begins_at,
        coalesce(changed_at, {{ far_future() }}) as ends_at
    from wishes
    where begins_at < coalesce(changed_at, {{ far_future() }})

)

select * from periods
