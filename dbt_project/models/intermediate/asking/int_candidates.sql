-- Contacts that are due for a survey now and have no sealed decision for that occasion.
with due as (

    select * from {{ ref('int_due') }}

),

triggers as (

    select * from {{ ref('int_survey_triggers') }}

),

decided as (

    {{ decided_of(ref('int_sealed_decisions')) }}

),

context as (

    select * from {{ ref('build_context') }}

),

due_now as (

    select
        due.*,
        context.as_of
    from due
    cross join context
    where due.due_at <= context.as_of
        and due.due_at >= due.earliest_due_at

),

undecided as (

    {{ undecided('due_now', 'decided') }}

),

placed as (

    select
        undecided.survey_id || ':' || cast(cast(undecided.as_of as date) as string) as wave_id,
        {{ occasion_columns('undecided', 'triggers') }},
        triggers.definition_hash,
        undecided.as_of
    from undecided
    inner join triggers
        on triggers.survey_id = undecided.survey_id
        and triggers.trigger_no = undecided.trigger_no

),

candidates as (

    {{ first_of_twins('placed') }}

)

select * from candidates
