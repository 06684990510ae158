-- How many invitations each account got lately, for each survey that caps them.
with candidates as (

    select * from {{ ref('int_candidate_rules') }} where cap_days is not null

),

history as (

    select * from {{ ref('int_contact_history') }} where what = 'asked' and account_id is not null

),

context as (

    select * from {{ ref('build_context') }}

),

capped as (

    select distinct survey_id, asked_account_id, cap_days from candidates

),

asks as (

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

select * from asks
