-- Occasions that come due in the days to play through: in a plan (no survey named) of all surveys, those that wait for
-- a decision now included; in a what-if all of one survey, decided or not.
{{ config(materialized='view') }}

with due as (

    select * from {{ ref('int_due') }}

),

triggers as (

    select * from {{ ref('int_survey_triggers') }}

),

period as (

    select * from {{ ref('stg_replay__period') }}

),

sealed as (

    -- In a what-if, what was really decided does not matter.
    select sealed.survey_id, sealed.trigger_event, sealed.trigger_record_id, sealed.contact_id
    from {{ ref('int_sealed_decisions') }} as sealed
    inner join period on period.survey_id is null

),

decided as (

    {{ decided_of('sealed') }}

),

due_then as (

    select
        due.*,
        period.starts_on,
        period.ends_on,
        period.survey_id is null as is_plan
    from due
    inner join period
        on due.due_at < {{ add_days('cast(period.ends_on as timestamp)', '1') }}
        and (
            (period.survey_id is null and due.due_at >= due.earliest_due_at)
            or (period.survey_id = due.survey_id and due.due_at >= cast(period.starts_on as timestamp))
        )

),

undecided as (

    {{ undecided('due_then', 'decided') }}

),

placed as (

    select
        {{ occasion_columns('undecided', 'triggers') }},
        undecided.starts_on,
        undecided.ends_on,
        undecided.is_plan,
        greatest(cast(undecided.due_at as date), undecided.starts_on) as due_on
    from undecided
    inner join triggers
        on triggers.survey_id = undecided.survey_id
        and triggers.trigger_no = undecided.trigger_no

),

occasions as (

    {{ first_of_twins('placed') }}

)

select * from occasions
