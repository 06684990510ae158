-- What the customer got: an order placed and delivered, a project finished, a contract renewed, the onboarding done.
{{ config(materialized='view') }}

with orders as (

    select * from {{ ref('stg_crm__order') }}
    where not is_deleted
        and lower(coalesce(status, '')) not in ('draft', 'cancelled', 'canceled')

),

projects as (

    select * from {{ ref('stg_crm__project') }} where not is_deleted and account_id is not null

),

contracts as (

    select * from {{ ref('stg_crm__contract') }} where not is_deleted and account_id is not null

),

onboarding as (

    select
        account_id,
        min(case when is_closed then 1 else 0 end) as is_complete,
        max(completed_at) as completed_at
    from {{ ref('stg_crm__task') }}
    where not is_deleted
        and account_id is not null
        and lower(coalesce(task_type, subject)) like 'onboarding%'
    group by account_id

),

events as (

    select
        'purchase' as trigger_event,
        order_id as trigger_record_id,
        contact_id,
        account_id,
        cast(effective_date as timestamp) as occurred_at
    from orders
    union all
    select 'order_delivered', order_id, contact_id, account_id, cast(delivered_date as timestamp)
    from orders
    union all
    select 'project_finished', project_id, null, account_id, cast(finished_date as timestamp)
    from projects
    union all
    select 'contract_renewed', contract_id, null, account_id, cast(coalesce(renewed_date, start_date) as timestamp)
    from contracts
    where is_renewal
    union all
    -- One onboarding an account: a task that is added later makes nobody due again.
    select 'onboarding_completed', account_id, null, account_id, completed_at
    from onboarding
    where is_complete = 1

),

happened as (

    select * from events where occurred_at is not null

)

select * from happened
