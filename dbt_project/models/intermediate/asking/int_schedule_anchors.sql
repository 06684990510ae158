-- From which day on each contact's recurring surveys are counted, and how often they come, in the contact's own
-- calendar. Contacts of customers only.
{{ config(materialized='view') }}

with kinds as (

    select * from {{ ref('int_trigger_kinds') }}

),

people as (

    select * from {{ ref('int_people') }} where not is_deleted and not is_lead

),

accounts as (

    select * from {{ ref('stg_crm__account') }}

),

positions as (

    select * from {{ ref('int_numbers') }} where n < 12

),

customers as (

    select
        people.contact_id,
        people.account_id,
        coalesce(people.known_zone, 'UTC') as time_zone,
        {{ local_date(
            'coalesce(people.created_at, accounts.created_at)', "coalesce(people.known_zone, 'UTC')"
        ) }} as started_on
    from people
    left join accounts on accounts.account_id = people.account_id
    where lower(coalesce(accounts.account_type, 'customer')) like 'customer%'
        and not coalesce(accounts.is_deleted, false)

),

schedules as (

    select
        *,
        case when trigger_event in ('schedule_quarterly', 'schedule_biannual') then 'day' else 'month' end as unit,
        case trigger_event
            {%- for event, days in var('schedule_days').items() %}
            when '{{ event }}' then {{ days }}
            {%- endfor %}
            when 'schedule_monthly' then 1
            else 12
        end as every
    from kinds
    where trigger_event in ('schedule_monthly', 'schedule_quarterly', 'schedule_biannual', 'schedule_annual')

),

dates as (

    select
        kinds.*,
        {{ json_text('kinds.trigger_json', "'$.dates[' || cast(positions.n as string) || ']'") }} as day_of_year
    from kinds
    cross join positions
    where kinds.trigger_event = 'fixed_dates'

),

anchors as (

    select
        schedules.trigger_event, schedules.trigger_key, schedules.unit, schedules.every,
        schedules.occurs_from, schedules.occurs_to,
        customers.contact_id, customers.account_id, customers.time_zone,
        -- A wanted day of the month is counted from a January: it has every day.
        case
            when schedules.trigger_event = 'schedule_monthly' and schedules.trigger_key <> '' then {{ date_plus(
                "cast(date_trunc('year', customers.started_on) as date)", safe_number('schedules.trigger_key') ~ ' - 1'
            ) }}
            else customers.started_on
        end as anchor_on,
        {{ date_plus('customers.started_on', 1) }} as not_before
    from schedules
    cross join customers
    where customers.started_on is not null
    union all
    -- A leap year has every day of the year.
    select
        dates.trigger_event, dates.trigger_key, 'month', 12, dates.occurs_from, dates.occurs_to,
        customers.contact_id, customers.account_id, customers.time_zone,
        cast('1996-' || dates.day_of_year as date),
        coalesce(customers.started_on, cast('1996-01-01' as date))
    from dates
    cross join customers
    where dates.day_of_year is not null

)

select * from anchors
