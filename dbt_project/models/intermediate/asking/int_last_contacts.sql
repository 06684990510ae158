-- The last time each person who may be asked now was asked, by any survey, by each family and each survey, and
-- answered. A person is a contact or an address: one row for each of the two. `counted_over` is 'all', a survey, or
-- 'family:<name>'.
with candidates as (

    select * from {{ ref('int_candidates') }}

),

people as (

    select * from {{ ref('int_people') }}

),

history as (

    select * from {{ ref('int_candidate_history') }}

),

families as (

    select survey_id, family from {{ ref('int_survey_definitions') }} where family is not null

),

concerned as (

    select distinct
        candidates.contact_id,
        people.person_key
    from candidates
    left join people on people.contact_id = candidates.contact_id

),

persons as (

    select
        'contact' as person_kind, history.contact_id as person_id, history.survey_id, history.what, history.happened_at
    from history
    where history.contact_id in (select contact_id from concerned)
    union all
    select
        'address' as person_kind, history.person_key as person_id, history.survey_id, history.what, history.happened_at
    from history
    where history.person_key in (select person_key from concerned where person_key is not null)

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

counted as (

    select person_kind, person_id, survey_id as counted_over, survey_id, last_asked_at, last_answered_at from by_survey
    union all
    select person_kind, person_id, 'all', survey_id, last_asked_at, last_answered_at from by_survey
    union all
    select
        by_survey.person_kind, by_survey.person_id, 'family:' || families.family, by_survey.survey_id,
        by_survey.last_asked_at, by_survey.last_answered_at
    from by_survey
    inner join families on families.survey_id = by_survey.survey_id

),

last_contacts as (

    select
        person_kind,
        person_id,
        counted_over,
        max(last_asked_at) as last_asked_at,
        max(last_answered_at) as last_answered_at,
        {{ latest('case when last_asked_at is not null then survey_id end', 'last_asked_at') }} as last_asked_by
    from counted
    group by person_kind, person_id, counted_over

)

select * from last_contacts
