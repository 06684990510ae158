-- The occasions of a replay with their days: `due_on` is the first on which one is looked at, `asked_on` the one on
-- which its slot and the calendar let it be asked, `last_on` the last on which it is looked at: that one, or the end.
with occasions as (

    select * from {{ ref('int_replay_occasions') }}

),

waits as (

    select * from {{ ref('int_survey_waits') }}

),

open_days as (

    select * from {{ ref('int_open_days') }}

),

context as (

    select * from {{ ref('build_context') }}

),

placed as (

    select
        occasions.*,
        waits.sample_by,
        context.as_of,
        greatest(
            occasions.due_on,
            coalesce(
                {{ date_plus('occasions.due_at', wave_slot('occasions.candidate_id', 'waits.spread_days')) }},
                occasions.due_on
            )
        ) as slot_on
    from occasions
    cross join context
    left join waits on waits.survey_id = occasions.survey_id

),

opened as (

    select
        placed.*,
        coalesce(open_days.next_open_on, placed.slot_on) as asked_on
    from placed
    left join open_days
        on open_days.survey_id = placed.survey_id
        and open_days.day_on = placed.slot_on

),

candidates as (

    select
        *,
        least(asked_on, ends_on) as last_on
    from opened

)

select * from candidates
