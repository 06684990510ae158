-- Contacts that are due for a survey now and have no sealed decision for that occasion.
with trigger_events as (

    select * from {{ ref('int_trigger_events') }}

),

triggers as (

    select * from {{ ref('int_survey_triggers') }}

),

sealed as (

    select * from {{ ref('int_sealed_decisions') }}

),

context as (

    select * from {{ ref('build_context') }}

),

due as (

    select
        md5(
            triggers.survey_id || '|' || trigger_events.contact_id || '|' || trigger_events.trigger_event
            || '|' || trigger_events.trigger_record_id
        ) as candidate_id,

        trigger_events.contact_id,
        trigger_events.account_id,
        triggers.survey_id,
        triggers.survey_id || ':' || cast(cast(context.as_of as date) as string) as wave_id,

        trigger_events.trigger_event,
        trigger_events.trigger_record_id,
        {{ add_days('trigger_events.occurred_at', 'triggers.delay_days') }} as due_at,

        triggers.earliest_due_at,
        triggers.priority,
        triggers.max_age_days,
        triggers.cooldown_days,
        triggers.cooldown_scope,
        triggers.skip_after_response_days,
        triggers.definition_hash,

        context.as_of
    from trigger_events
    inner join triggers on triggers.trigger_event = trigger_events.trigger_event
    cross join context

),

candidates as (

    select
        due.*,
        {{ add_days('due.due_at', 'due.max_age_days') }} as expires_at
    from due
    where due.due_at <= due.as_of
        and due.due_at >= due.earliest_due_at
        and not exists (
            select 1 from sealed where sealed.candidate_id = due.candidate_id
        )

)

select * from candidates
