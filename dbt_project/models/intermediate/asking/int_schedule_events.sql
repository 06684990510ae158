-- Occurrences of schedules: the k-th comes 90 k days after the contact was created, for contacts of customers. Only
-- those that an active survey may still ask about.
with triggers as (

    select * from {{ ref('int_survey_triggers') }}

),

contacts as (

    select * from {{ ref('stg_crm__contact') }} where not is_deleted

),

accounts as (

    select * from {{ ref('stg_crm__account') }}

),

numbers as (

    select * from {{ ref('int_numbers') }} where n >= 1

),

context as (

    select * from {{ ref('build_context') }}

),

schedules as (

    {% for event, days in var('schedule_days').items() %}
    select
        '{{ event }}' as trigger_event,
        {{ days }} as every_days,
        min({{ add_days('earliest_due_at', '-delay_days') }}) as occurs_from
    from triggers
    where trigger_event = '{{ event }}'
    {{ 'union all' if not loop.last }}
    {% endfor %}

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

occurrences as (

    select
        schedules.trigger_event,
        customers.contact_id,
        customers.account_id,
        {{ add_days('customers.started_at', 'schedules.every_days * numbers.n') }} as occurred_at
    from customers
    cross join schedules
    cross join context
    inner join numbers
        on numbers.n >= {{ days_between('customers.started_at', 'schedules.occurs_from') }} / schedules.every_days
        and numbers.n <= {{ days_between('customers.started_at', 'context.as_of') }} / schedules.every_days

),

events as (

    select
        occurrences.trigger_event,
        occurrences.contact_id || '@' || cast(cast(occurrences.occurred_at as date) as string) as trigger_record_id,
        occurrences.contact_id,
        occurrences.account_id,
        cast(null as string) as product_id,
        occurrences.occurred_at
    from occurrences

)

select * from events
