-- Occurrences of schedules and fixed dates, as days of the contact's own calendar: each is counted from the first day,
-- never from the last occurrence, so that the 31st comes back after February.
{{ config(materialized='view') }}

with anchors as (

    select * from {{ ref('int_schedule_anchors') }}

),

numbers as (

    select * from {{ ref('int_numbers') }}

),

spans as (

    select
        anchors.*,
        case unit
            when 'day' then floor({{ days_between('anchor_on', 'occurs_from') }} / cast(every as double))
            else floor({{ months_between('anchor_on', 'occurs_from') }} / cast(every as double))
        end as first_step,
        case unit
            when 'day' then {{ days_between('occurs_from', 'occurs_to') }} / every + 2
            else {{ months_between('occurs_from', 'occurs_to') }} / every + 2
        end as steps
    from anchors

),

occurrences as (

    select
        spans.trigger_event,
        spans.trigger_key,
        spans.contact_id,
        spans.account_id,
        spans.time_zone,
        spans.occurs_from,
        spans.occurs_to,
        spans.not_before,
        case spans.unit
            when 'day' then {{ date_plus('spans.anchor_on', '(spans.first_step + numbers.n) * spans.every') }}
            else {{ add_months('spans.anchor_on', '(spans.first_step + numbers.n) * spans.every') }}
        end as occurred_on
    from spans
    inner join numbers on numbers.n <= spans.steps

),

events as (

    -- Two dates of one trigger may fall on one day: 02-28 and 02-29.
    select {{ 'distinct' if is_perhaps_used('int_trigger_kinds', 'trigger_event', 'fixed_dates') }}
        trigger_event,
        trigger_key,
        contact_id || '@' || cast(occurred_on as string) as trigger_record_id,
        contact_id,
        account_id,
        time_zone,
        occurred_on
    from occurrences
    where occurred_on >= not_before
        and occurred_on >= {{ date_plus('cast(occurs_from as date)', -1) }}
        and occurred_on <= {{ date_plus('cast(occurs_to as date)', 1) }}

)

select * from events
