-- Contacts that are due for a survey now and have no sealed decision for that occasion.
with due as (

    select * from {{ ref('int_due') }}

),

sealed as (

    select * from {{ ref('int_sealed_decisions') }}

),

context as (

    select * from {{ ref('build_context') }}

),

decided as (

    -- Where a record is about one contact, another one who takes that place later is not asked about it again.
    select distinct
        survey_id,
        trigger_event,
        trigger_record_id
    from sealed

),

undecided as (

    select
        due.*,
        due.survey_id || ':' || cast(cast(context.as_of as date) as string) as wave_id,
        {{ add_days('due.due_at', 'due.max_age_days') }} as expires_at,
        context.as_of
    from due
    cross join context
    where due.due_at <= context.as_of
        and due.due_at >= due.earliest_due_at
        and not exists (
            select 1 from sealed where sealed.candidate_id = due.candidate_id
        )
        and not exists (
            select 1 from decided
            where due.contacts = 'primary'
                and decided.survey_id = due.survey_id
                and decided.trigger_event = due.trigger_event
                and decided.trigger_record_id = due.trigger_record_id
        )

),

placed as (

    -- Two triggers of a survey may lead to one occasion: whichever makes it due first.
    select
        *,
        row_number() over (partition by candidate_id order by due_at, trigger_no) as trigger_place
    from undecided

),

candidates as (

    select * from placed where trigger_place = 1

)

select * from candidates
