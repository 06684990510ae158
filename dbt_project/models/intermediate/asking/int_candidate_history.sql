-- Every time that somebody who may be asked now was asked or answered: what cooldown and recent response look at.
-- int_contact_history has it of everyone; this reads no more than it needs.
with candidates as (

    select * from {{ ref('int_candidates') }}

),

people as (

    select * from {{ ref('int_people') }}

),

imported as (

    select * from {{ ref('int_imported_answers') }}

),

concerned as (

    select
        candidates.contact_id,
        people.person_key
    from candidates
    left join people on people.contact_id = candidates.contact_id

),

asks as (

    select *
    from {{ ref('int_sealed_decisions') }}
    where decision = 'ask'
        and (
            contact_id in (select contact_id from concerned)
            or person_key in (select person_key from concerned where person_key is not null)
        )

),

events as (

    select events.*
    from {{ ref('stg_ledger__events') }} as events
    where kind in {{ kinds_of_past() }}
        and invitation_id in (select candidate_id from asks)

),

past as (

    {{ past_of('asks', 'events') }}

),

imported_past as (

    {{ imported_past_of('imported') }}

),

history as (

    select contact_id, person_key, survey_id, what, happened_at from past
    union all
    select contact_id, person_key, survey_id, what, happened_at from imported_past

)

select * from history
