-- The occasions of surveys that ask a sample, decided or not; a sample is asked on fixed dates only.
with due as (

    select *
    from {{ ref('int_due') }}
    where trigger_event = 'fixed_dates'
        and {{ is_used('survey_id', 'int_survey_waits', 'survey_id', 'sample_by is not null') }}

),

waits as (

    select * from {{ ref('int_survey_waits') }} where sample_by is not null

),

triggers as (

    select * from {{ ref('int_survey_triggers') }}

),

sampled as (

    select
        {{ occasion_columns('due', 'triggers') }},
        due.occurred_on
    from due
    inner join waits on waits.survey_id = due.survey_id
    inner join triggers on triggers.survey_id = due.survey_id and triggers.trigger_no = due.trigger_no

)

select * from sampled
