-- What makes a contact due, before any survey's delay: one row per event, record and contact.
with deals as (

    select * from {{ ref('int_deal_won_events') }}

),

tickets as (

    select * from {{ ref('stg_crm__case') }}

),

schedules as (

    select * from {{ ref('int_schedule_events') }}

),

ticket_resolved as (

    select
        'ticket_resolved' as trigger_event,
        case_id as trigger_record_id,
        contact_id,
        account_id,
        cast(null as string) as product_id,
        closed_at as occurred_at
    from tickets
    where is_closed
        and not is_deleted
        and closed_at is not null
        and contact_id is not null

),

events as (

    select * from deals
    union all
    select * from ticket_resolved
    union all
    select * from schedules

)

select * from events
