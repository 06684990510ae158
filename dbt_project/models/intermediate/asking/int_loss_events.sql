-- Customers that were lost: the account's type changed from that of a customer (or none) to that of a former one.
{{ config(materialized='view') }}

with versions as (

    select * from {{ ref('stg_crm__account_versions') }}

),

accounts as (

    select * from {{ ref('stg_crm__account') }} where not is_deleted

),

changes as (

    select
        account_id,
        lower(account_type) as account_type,
        lower(
            lag(coalesce(account_type, 'customer')) over (partition by account_id order by changed_at)
        ) as account_type_before,
        changed_at
    from versions

),

events as (

    -- One loss a day: what is put right and done again on the same day is the same.
    select
        'customer_lost' as trigger_event,
        changes.account_id || '@' || cast(cast(changes.changed_at as date) as string) as trigger_record_id,
        changes.account_id,
        min(changes.changed_at) as occurred_at
    from changes
    inner join accounts on accounts.account_id = changes.account_id
    where changes.account_type in ({{ "'" ~ var('lost_account_types') | join("', '") ~ "'" }})
        and changes.account_type_before like 'customer%'
    group by changes.account_id, cast(changes.changed_at as date)

)

select * from events
