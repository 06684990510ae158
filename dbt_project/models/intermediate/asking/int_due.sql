-- Each occasion on which a contact comes due for a survey, decided or not: an event, the survey's delay, the contact.
{{ config(materialized='view') }}

with trigger_events as (

    select * from {{ ref('int_trigger_events') }}

),

triggers as (

    select * from {{ ref('int_survey_triggers') }}

),

account_contacts as (

    select placed.account_id, placed.contact_id, people.known_zone, true as is_for_all
    from {{ ref('int_account_contacts') }} as placed
    left join {{ ref('int_people') }} as people on people.contact_id = placed.contact_id
    union all
    select placed.account_id, placed.contact_id, people.known_zone, false
    from {{ ref('int_account_contacts') }} as placed
    left join {{ ref('int_people') }} as people on people.contact_id = placed.contact_id
    where placed.place = 1

),

midnights as (

    select * from {{ ref('int_local_midnights') }}

),

matched as (

    select
        triggers.survey_id,
        triggers.trigger_no,
        triggers.trigger_event,
        triggers.contacts,
        triggers.delay_days,
        triggers.earliest_due_at,
        trigger_events.trigger_record_id,
        trigger_events.account_id,
        trigger_events.occurred_at,
        trigger_events.occurred_on,
        trigger_events.time_zone,
        triggers.contacts = 'all' and trigger_events.account_id is not null as is_for_all,
        case
            when triggers.contacts <> 'all' or trigger_events.account_id is null then trigger_events.contact_id
        end as own_contact_id
    from trigger_events
    inner join triggers
        on triggers.trigger_event = trigger_events.trigger_event
        and triggers.trigger_key = trigger_events.trigger_key

),

addressed as (

    -- Everyone of the account; else the contact that the record names, or who is asked first of the account.
    select
        matched.*,
        coalesce(matched.own_contact_id, account_contacts.contact_id) as contact_id,
        coalesce(account_contacts.known_zone, matched.time_zone, 'UTC') as known_zone
    from matched
    left join account_contacts
        on account_contacts.account_id = case when matched.own_contact_id is null then matched.account_id end
        and account_contacts.is_for_all = matched.is_for_all

),

due as (

    select
        addressed.*,
        -- A day begins where the contact is, and so does the day to which a delay leads.
        coalesce({{ add_days('addressed.occurred_at', 'addressed.delay_days') }}, midnights.begins_at) as due_at
    from addressed
    left join midnights
        on midnights.time_zone = addressed.known_zone
        and midnights.day_on = {{ date_plus('addressed.occurred_on', 'addressed.delay_days') }}
    where addressed.contact_id is not null

),

occasions as (

    select
        survey_id, trigger_no, trigger_event, trigger_record_id, contact_id, account_id, occurred_on, due_at,
        contacts, earliest_due_at
    from due
    where due_at is not null

)

select * from occasions
