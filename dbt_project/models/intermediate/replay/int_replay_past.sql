-- Every time that anybody was asked or answered, for a replay: the same for each one that is played in a playground.
-- Empty where nothing is played.
{%- set is_played = used_values('stg_replay__period', 'starts_on') != [] %}
with asks as (

    select *
    from {{ ref('int_sealed_decisions') }}
    where decision = 'ask'
        and {{ 'true' if is_played else 'false' }}

),

imported as (

    select * from {{ ref('int_imported_answers') }}

),

nothing as (

    select * from {{ ref('stg_ledger__events') }} where false

),

past_of_asks as (

    {{ past_of('asks', ref('stg_ledger__events') if is_played else 'nothing') }}

),

imported_past as (

    {{ imported_past_of('imported') }}

),

past as (

    select invitation_id, contact_id, account_id, person_key, survey_id, what, happened_at, delivery_state, score
    from past_of_asks
    union all
    select null, contact_id, account_id, person_key, survey_id, what, happened_at, null, null
    from imported_past

)

select * from past
