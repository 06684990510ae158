-- What makes somebody due, before any survey's delay: one row per event and record. The contact is the one that the
-- record names, or null where the account is to say who. What comes at a moment has `occurred_at`, what comes with the
-- calendar `occurred_on`, a day where the contact is (in `time_zone`, where the event names the contact).
{{ config(materialized='view') }}

with kinds as (

    select * from {{ ref('int_trigger_kinds') }}

),

records as (

    select trigger_event, '' as trigger_key, trigger_record_id, contact_id, account_id, occurred_at
    from {{ ref('int_deal_events') }}
    union all
    select trigger_event, '', trigger_record_id, contact_id, account_id, occurred_at
    from {{ ref('int_service_events') }}
    union all
    select trigger_event, '', trigger_record_id, contact_id, account_id, occurred_at
    from {{ ref('int_delivery_events') }}
    union all
    select trigger_event, '', trigger_record_id, null, account_id, occurred_at
    from {{ ref('int_loss_events') }}
    union all
    select trigger_event, trigger_key, trigger_record_id, contact_id, null, occurred_at
    from {{ ref('int_sign_up_events') }}
    union all
    select trigger_event, trigger_key, trigger_record_id, contact_id, account_id, occurred_at
    from {{ ref('int_field_changed_events') }}

),

days as (

    select trigger_event, trigger_key, trigger_record_id, contact_id, account_id, time_zone, occurred_on
    from {{ ref('int_schedule_events') }}
    union all
    select trigger_event, trigger_key, trigger_record_id, null, account_id, null, occurred_on
    from {{ ref('int_mark_events') }}

),

dated as (

    select *, cast(null as string) as time_zone, cast(null as date) as occurred_on from records
    union all
    select
        trigger_event, trigger_key, trigger_record_id, contact_id, account_id, cast(null as timestamp), time_zone,
        occurred_on
    from days

),

events as (

    select dated.*
    from dated
    inner join kinds
        on kinds.trigger_event = dated.trigger_event
        and kinds.trigger_key = dated.trigger_key
    where {{ is_used('dated.trigger_event', 'int_trigger_kinds', 'trigger_event') }}

)

select * from events
