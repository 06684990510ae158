-- Support: somebody got in touch, and the ticket was resolved. Nobody else of the account knows how it went.
{{ config(materialized='view') }}

with cases as (

    select * from {{ ref('stg_crm__case') }} where not is_deleted and contact_id is not null

),

events as (

    select
        'support_contact' as trigger_event,
        case_id as trigger_record_id,
        contact_id,
        account_id,
        created_at as occurred_at
    from cases
    where created_at is not null
    union all
    select
        'ticket_resolved' as trigger_event,
        case_id as trigger_record_id,
        contact_id,
        account_id,
        closed_at as occurred_at
    from cases
    where is_closed
        and closed_at is not null

)

select * from events
