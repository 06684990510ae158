with accounts as (

    select * from {{ ref('stg_crm__account') }}

),

unknown as (

    select * from {{ ref('int_unknown_accounts') }}

),

ranked_responses as (

    select
        account_id,
        score,
        row_number() over (partition by account_id order by submitted_at desc, response_id) as age,
        count(*) over (partition by account_id) as responses
    from {{ ref('int_responses') }}

),

latest_responses as (

    select * from ranked_responses where age = 1

),

companies as (

    select
        account_id, account_name, account_type, tier, industry, segment, region, plan, owner_id, csm_id,
        contract_value, lifetime_value, adoption_score, customer_since, renewal_date,
        true as is_in_crm, is_deleted
    from accounts
    union all
    select
        account_id, null, null, null, null, null, null, null, null, null,
        null, null, null, null, null,
        false as is_in_crm, false as is_deleted
    from unknown

),

dimension as (

    select
        companies.account_id,
        companies.account_name,
        companies.account_type,

        companies.tier,
        companies.industry,
        companies.segment,
        companies.region,
        companies.plan,
        companies.owner_id,
        companies.csm_id,

        companies.contract_value,
        companies.lifetime_value,
        companies.adoption_score,
        companies.customer_since,
        companies.renewal_date,

        companies.is_in_crm,
        companies.is_deleted,

        latest_responses.score as last_score,
        coalesce(latest_responses.responses, 0) as nps_responses
    from companies
    left join latest_responses on latest_responses.account_id = companies.account_id

)

select * from dimension
