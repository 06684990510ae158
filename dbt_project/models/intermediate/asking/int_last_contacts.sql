-- The last time each person was asked, by any survey and by each, and last answered. A person is a contact or an
-- address: one row for each of the two.
with history as (

    select * from {{ ref('int_contact_history') }}

),

persons as (

    select 'contact' as person_kind, contact_id as person_id, survey_id, what, happened_at
    from history
    where contact_id is not null
    union all
    select 'address' as person_kind, person_key as person_id, survey_id, what, happened_at
    from history
    where person_key is not null

),

by_survey as (

    select
        person_kind,
        person_id,
        survey_id,
        max(case when what = 'asked' then happened_at end) as last_asked_at,
        max(case when what = 'answered' then happened_at end) as last_answered_at
    from persons
    group by person_kind, person_id, survey_id

),

by_any as (

    select
        person_kind,
        person_id,
        'all' as survey_id,
        max(last_asked_at) as last_asked_at,
        max(last_answered_at) as last_answered_at
    from by_survey
    group by person_kind, person_id

),

last_contacts as (

    select * from by_survey
    union all
    select * from by_any

)

select * from last_contacts
