-- Occurrences of schedules: the k-th comes 90 k days after the contact was created, for contacts of customers. Only
-- those that an active survey may still ask about.
with steps_back as (

    select * from {{ ref('int_schedule_steps') }}

),

contacts as (

    select * from {{ ref('stg_crm__contact') }} where not is_deleted

),

accounts as (

    select * from {{ ref('stg_crm__account') }}

),

customers as (

    select
        contacts.contact_id,
        contacts.account_id,
        coalesce(contacts.created_at, accounts.created_at) as started_at
    from contacts
    left join accounts on accounts.account_id = contacts.account_id
    where lower(coalesce(accounts.account_type, 'customer')) like 'customer%'
        and not coalesce(accounts.is_deleted, false)

),

numbered as (

    select
        customers.*,
        steps_back.trigger_event,
        steps_back.every_days,
        floor({{ days_between('customers.started_at', 'steps_back.as_of') }} / steps_back.every_days)
            - steps_back.steps as occurrence
    from customers
    cross join steps_back

),

occurrences as (

    select
        *,
        {{ add_days('started_at', 'every_days * occurrence') }} as occurred_at
    from numbered
    where occurrence >= 1

),

events as (

    select
        trigger_event,
        contact_id || '@' || cast(cast(occurred_at as date) as string) as trigger_record_id,
        contact_id,
        account_id,
        cast(null as string) as product_id,
        occurred_at
    from occurrences

)

select * from events
