-- Every invitation and answer of surveys that ask a sample, and of those who are due for one.
with due as (

    select * from {{ ref('int_sample_due') }}

),

people as (

    select * from {{ ref('int_people') }}

),

imported as (

    select * from {{ ref('int_imported_answers') }}

),

concerned as (

    select distinct
        due.contact_id,
        people.person_key
    from due
    left join people on people.contact_id = due.contact_id

),

asks as (

    select *
    from {{ ref('int_sealed_decisions') }}
    where decision = 'ask'
        and {{ 'false' if used_values('int_survey_waits', 'survey_id', 'sample_by is not null') == [] else 'true' }}
        and (
            survey_id in (select survey_id from due)
            or contact_id in (select contact_id from concerned)
            or person_key in (select person_key from concerned where person_key is not null)
        )

),

events as (

    select events.*
    from {{ ref('stg_ledger__events') }} as events
    where kind in {{ kinds_of_past() }}
        and invitation_id in (select candidate_id from asks)

),

past_of_asks as (

    {{ past_of('asks', 'events') }}

),

imported_past as (

    {{ imported_past_of('imported') }}

),

past as (

    select invitation_id, contact_id, person_key, account_id, survey_id, what, happened_at, delivery_state, score
    from past_of_asks
    union all
    select null, contact_id, person_key, account_id, survey_id, what, happened_at, null, null from imported_past

)

select * from past
