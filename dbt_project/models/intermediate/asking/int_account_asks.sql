-- How many invitations each account got lately, for each survey that caps them.
with candidates as (

    select * from {{ ref('int_candidate_rules') }} where cap_days is not null

),

imported as (

    select * from {{ ref('int_imported_answers') }} where account_id is not null

),

context as (

    select * from {{ ref('build_context') }}

),

capped as (

    select distinct survey_id, asked_account_id, cap_days from candidates where asked_account_id is not null

),

asks as (

    select *
    from {{ ref('int_sealed_decisions') }}
    where decision = 'ask'
        and account_id in (select asked_account_id from capped)

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

    select account_id, happened_at from past where what = 'asked'
    union all
    select account_id, happened_at from imported_past where what = 'asked'

),

account_asks as (

    select
        capped.survey_id,
        capped.asked_account_id as account_id,
        count(*) as asks
    from capped
    cross join context
    inner join history on history.account_id = capped.asked_account_id
    where {{ days_between('history.happened_at', 'context.as_of') }} < capped.cap_days
    group by capped.survey_id, capped.asked_account_id

)

select * from account_asks
