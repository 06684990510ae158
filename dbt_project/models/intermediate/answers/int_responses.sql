-- Counted answers with what the account was when they were given.
with answers as (

    select * from {{ ref('int_confirmed_answers') }}

),

account_history as (

    select * from {{ ref('int_account_history') }}

),

accounts as (

    select * from {{ ref('stg_crm__account') }}

),

users as (

    select * from {{ ref('stg_crm__user') }}

),

responses as (

    select
        answers.*,
        {{ nps_category('answers.score') }} as category,
        {{ seconds_between('answers.sent_at', 'answers.submitted_at') }} / 3600.0 as hours_to_response,

        account_history.owner_id as owner_id_at_response,
        accounts.owner_id as owner_id_current,
        account_history.csm_id as csm_id_at_response,
        users.team as team_at_response,

        account_history.tier,
        account_history.industry,
        account_history.segment,
        account_history.region,
        account_history.plan,
        account_history.contract_value,
        account_history.lifetime_value,
        account_history.adoption_score,
        {{ days_between('account_history.customer_since', 'answers.submitted_at') }} as tenure_days
    from answers
    left join account_history
        on account_history.account_id = answers.account_id
        and account_history.valid_from <= answers.submitted_at
        and account_history.valid_to > answers.submitted_at
    left join accounts on accounts.account_id = answers.account_id
    left join users on users.user_id = account_history.owner_id

)

select * from responses
