-- Each occasion on which a contact comes due for a survey, decided or not: an event, the survey's delay, the contact.
{{ config(materialized='view') }}

with trigger_events as (

    select * from {{ ref('int_trigger_events') }}

),

triggers as (

    select * from {{ ref('int_survey_triggers') }}

),

account_contacts as (

    select * from {{ ref('int_account_contacts') }}

),

people as (

    select * from {{ ref('int_people') }}

),

midnights as (

    select * from {{ ref('int_local_midnights') }}

),

matched as (

    select
        triggers.*,
        trigger_events.trigger_record_id,
        trigger_events.contact_id as named_contact_id,
        trigger_events.account_id,
        trigger_events.occurred_at,
        trigger_events.occurred_on,
        triggers.contacts = 'all' and trigger_events.account_id is not null as is_for_all
    from trigger_events
    inner join triggers
        on triggers.trigger_event = trigger_events.trigger_event
        and triggers.trigger_key = trigger_events.trigger_key

),

addressed as (

    -- Everyone of the account; else the contact that the record names, or who is asked first of the account.
    select
        matched.*,
        account_contacts.contact_id
    from matched
    inner join account_contacts on account_contacts.account_id = matched.account_id
    where matched.is_for_all
    union all
    select
        matched.*,
        coalesce(matched.named_contact_id, account_contacts.contact_id) as contact_id
    from matched
    left join account_contacts
        on account_contacts.account_id = matched.account_id
        and account_contacts.place = 1
        and matched.named_contact_id is null
    where not matched.is_for_all

),

due as (

    select
        md5(
            addressed.survey_id || '|' || addressed.contact_id || '|' || addressed.trigger_event || '|'
            || addressed.trigger_record_id
        ) as candidate_id,
        addressed.*,
        -- A day begins where the contact is, and so does the day to which a delay leads.
        coalesce({{ add_days('addressed.occurred_at', 'addressed.delay_days') }}, midnights.begins_at) as due_at
    from addressed
    left join people
        on people.contact_id = addressed.contact_id
        and addressed.occurred_on is not null
    left join midnights
        on midnights.time_zone = coalesce(people.known_zone, 'UTC')
        and midnights.day_on = {{ date_plus('addressed.occurred_on', 'addressed.delay_days') }}
    where addressed.contact_id is not null

),

occasions as (

    select
        candidate_id, contact_id, account_id, survey_id, trigger_event, trigger_record_id, occurred_on, due_at,
        trigger_no, contacts, earliest_due_at, priority, max_age_days, cooldown_days, cooldown_scope, family,
        skip_after_response_days, definition_hash
    from due
    where due_at is not null

)

select * from occasions
