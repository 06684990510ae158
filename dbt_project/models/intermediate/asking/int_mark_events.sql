-- Marks of an account's life, as days: so long after it became a customer, so long before its renewal.
{{ config(materialized='view') }}

with kinds as (

    select
        trigger_event,
        trigger_key,
        occurs_from,
        occurs_to,
        cast({{ safe_number(json_text('trigger_json', "'$.after_days'")) }} as bigint) as after_days,
        cast({{ safe_number(json_text('trigger_json', "'$.after_months'")) }} as bigint) as after_months,
        cast({{ safe_number(json_text('trigger_json', "'$.days_before'")) }} as bigint) as days_before
    from {{ ref('int_trigger_kinds') }}
    where trigger_event in ('customer_age', 'customer_anniversary', 'before_renewal')

),

accounts as (

    select
        account_id,
        coalesce(customer_since, cast(created_at as date)) as started_on,
        renewal_date
    from {{ ref('stg_crm__account') }}
    where not is_deleted
        and lower(coalesce(account_type, 'customer')) like 'customer%'

),

marks as (

    select
        kinds.*,
        accounts.account_id,
        accounts.renewal_date,
        case kinds.trigger_event
            when 'customer_age' then {{ date_plus('accounts.started_on', 'kinds.after_days') }}
            when 'customer_anniversary' then {{ add_months('accounts.started_on', 'kinds.after_months') }}
            else {{ date_plus('accounts.renewal_date', '-kinds.days_before') }}
        end as occurred_on
    from kinds
    cross join accounts

),

events as (

    select
        trigger_event,
        trigger_key,
        -- A renewal date that moves is another occasion; a corrected first day is not.
        account_id || '@' || trigger_key || case
            when trigger_event = 'before_renewal' then '@' || cast(renewal_date as string)
            else ''
        end as trigger_record_id,
        account_id,
        occurred_on
    from marks
    where occurred_on >= {{ date_plus('cast(occurs_from as date)', -1) }}
        and occurred_on <= {{ date_plus('cast(occurs_to as date)', 1) }}

)

select * from events
