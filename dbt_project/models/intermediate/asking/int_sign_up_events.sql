-- Sign-ups for a trial or for content, by a contact or by a lead; of any kind and of each.
{{ config(materialized='view') }}

with sign_ups as (

    select * from {{ ref('stg_crm__sign_up') }} where not is_deleted and signed_up_date is not null

),

leads as (

    select * from {{ ref('stg_crm__lead') }}

),

signed_up as (

    select
        sign_ups.sign_up_id,
        lower(coalesce(sign_ups.sign_up_kind, '')) as sign_up_kind,
        -- A lead that became a contact is asked as that contact.
        coalesce(sign_ups.contact_id, leads.converted_contact_id, leads.lead_id) as contact_id,
        cast(sign_ups.signed_up_date as timestamp) as occurred_at
    from sign_ups
    left join leads on leads.lead_id = sign_ups.lead_id

),

events as (

    select 'sign_up' as trigger_event, '' as trigger_key, sign_up_id as trigger_record_id, contact_id, occurred_at
    from signed_up
    where contact_id is not null
    union all
    select 'sign_up', sign_up_kind, sign_up_id, contact_id, occurred_at
    from signed_up
    where contact_id is not null
        and sign_up_kind <> ''

)

select * from events
