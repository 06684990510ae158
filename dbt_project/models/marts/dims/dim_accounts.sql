with accounts as (

    select * from {{ ref('stg_crm__account') }}

),

unknown as (

    select * from {{ ref('int_unknown_accounts') }}

),

facts as (

    select * from {{ ref('int_account_facts') }}

),

standing as (

    select * from {{ ref('int_account_standing') }}

),

open_followups as (

    select account_id, count(*) as followups
    from {{ ref('fct_followups') }}
    where status in ('open', 'in_progress')
    group by account_id

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

        coalesce(facts.won_deals, 0) as won_deals,
        coalesce(facts.orders, 0) as orders,
        coalesce(facts.products, 0) as products,
        coalesce(facts.cases, 0) as cases,
        coalesce(facts.open_cases, 0) as open_cases,

        standing.last_score,
        standing.last_category,
        standing.last_response_at,
        coalesce(standing.nps_responses, 0) as nps_responses,
        coalesce(open_followups.followups, 0) as open_followups,

        coalesce(standing.health_change, 0) as health_change,
        least(100, greatest(0,
            coalesce(companies.adoption_score, {{ var('usual_health') }}) + coalesce(standing.health_change, 0)
        )) as health
    from companies
    left join facts on facts.account_id = companies.account_id
    left join standing on standing.account_id = companies.account_id
    left join open_followups on open_followups.account_id = companies.account_id

)

select * from dimension
