-- Each kind of trigger that some active survey has, with its parameters, and the time over which its events matter.
with triggers as (

    select * from {{ ref('int_survey_triggers') }}

),

period as (

    select max(ends_on) as ends_on from {{ ref('stg_replay__period') }}

),

context as (

    select * from {{ ref('build_context') }}

),

grouped as (

    select
        trigger_event,
        trigger_key,
        min({{ add_days('least(earliest_due_at, coalesce(replay_from, earliest_due_at))', '-delay_days') }})
            as occurs_from,
        min(trigger_json) as trigger_json
    from triggers
    group by trigger_event, trigger_key

),

kinds as (

    select
        grouped.trigger_event,
        grouped.trigger_key,
        grouped.trigger_json,
        grouped.occurs_from,
        greatest(
            context.as_of, coalesce({{ add_days('cast(period.ends_on as timestamp)', '1') }}, context.as_of)
        ) as occurs_to,
        context.as_of
    from grouped
    cross join period
    cross join context

)

select * from kinds
