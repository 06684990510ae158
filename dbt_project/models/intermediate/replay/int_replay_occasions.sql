-- Occasions that come due in the days to play through: in a plan (no survey named) of all surveys, those that wait for
-- a decision now included; in a what-if all of one survey, decided or not.
with due as (

    select * from {{ ref('int_due') }}

),

period as (

    select * from {{ ref('stg_replay__period') }}

),

sealed as (

    select * from {{ ref('int_sealed_decisions') }}

),

decided as (

    select distinct survey_id, trigger_event, trigger_record_id from sealed

),

occasions as (

    select
        due.*,
        period.starts_on,
        period.ends_on,
        period.survey_id is null as is_plan,
        greatest(cast(due.due_at as date), period.starts_on) as due_on
    from due
    inner join period
        on due.due_at < {{ add_days('cast(period.ends_on as timestamp)', '1') }}
        and (
            (period.survey_id is null and due.due_at >= due.earliest_due_at)
            or (period.survey_id = due.survey_id and due.due_at >= cast(period.starts_on as timestamp))
        )

),

open_occasions as (

    select occasions.*
    from occasions
    where not occasions.is_plan
    union all
    select occasions.*
    from occasions
    where occasions.is_plan
        and not exists (
            select 1 from sealed where sealed.candidate_id = occasions.candidate_id
        )
        and not exists (
            select 1 from decided
            where occasions.contacts = 'primary'
                and decided.survey_id = occasions.survey_id
                and decided.trigger_event = occasions.trigger_event
                and decided.trigger_record_id = occasions.trigger_record_id
        )

),

placed as (

    -- Two triggers of a survey may lead to one occasion: whichever makes it due first.
    select
        *,
        row_number() over (partition by candidate_id order by due_at, trigger_no) as trigger_place
    from open_occasions

),

undecided as (

    select * from placed where trigger_place = 1

)

select * from undecided
