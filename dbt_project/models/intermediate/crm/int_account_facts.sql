-- What a filter may ask of an account beside its own fields: how long it is a customer, and how much there is of it.
{{ config(materialized='view') }}

with accounts as (

    select * from {{ ref('stg_crm__account') }}

),

context as (

    select * from {{ ref('build_context') }}

),

counted as (

    select account_id, 1 as won_deals, 0 as orders, 0 as products, 0 as cases, 0 as open_cases
    from {{ ref('stg_crm__opportunity') }}
    where is_won and not is_deleted
    union all
    select account_id, 0, 1, 0, 0, 0 from {{ ref('stg_crm__order') }} where not is_deleted
    union all
    select account_id, 0, 0, 1, 0, 0 from {{ ref('stg_crm__asset') }} where not is_deleted
    union all
    select account_id, 0, 0, 0, 1, case when is_closed then 0 else 1 end
    from {{ ref('stg_crm__case') }}
    where not is_deleted

),

sums as (

    select
        account_id,
        cast(sum(won_deals) as bigint) as won_deals,
        cast(sum(orders) as bigint) as orders,
        cast(sum(products) as bigint) as products,
        cast(sum(cases) as bigint) as cases,
        cast(sum(open_cases) as bigint) as open_cases
    from counted
    group by account_id

),

facts as (

    select
        accounts.account_id,
        {{ days_between('coalesce(accounts.customer_since, accounts.created_at)', 'context.as_of') }} as customer_days,
        coalesce(sums.won_deals, 0) as won_deals,
        coalesce(sums.orders, 0) as orders,
        coalesce(sums.products, 0) as products,
        coalesce(sums.cases, 0) as cases,
        coalesce(sums.open_cases, 0) as open_cases
    from accounts
    cross join context
    left join sums on sums.account_id = accounts.account_id

)

select * from facts
