-- Candidates that an ask of the replay itself stands against: on the same day, or within the cooldown.
with placed as (

    select * from {{ ref('int_replay_order') }}

),

asks as (

    select * from {{ ref('int_replay_asks') }}

),

asked_candidates as (

    select placed.*
    from placed
    inner join asks on asks.candidate_id = placed.candidate_id

),

stopped as (

    select
        placed.candidate_id,
        max(case when asked_candidates.asked_day = placed.asked_day then 1 else 0 end) = 1 as fails_one_per_wave,
        max(
            case
                when asked_candidates.asked_day < placed.asked_day
                    and placed.counted_over in ('all', asked_candidates.survey_id, asked_candidates.family_key)
                    and greatest(placed.due_day, asked_candidates.asked_day + 1) - asked_candidates.asked_day
                    < placed.cooldown_days
                    then 1
                else 0
            end
        ) = 1 as fails_cooldown,
        {{ latest('asked_candidates.survey_id', 'asked_candidates.place') }} as stopped_by
    from placed
    inner join asked_candidates
        on asked_candidates.person = placed.person
        and asked_candidates.place < placed.place
        and asked_candidates.asked_day > placed.due_day - greatest(placed.cooldown_days, 1)
    where not exists (
        select 1 from asks where asks.candidate_id = placed.candidate_id
    )
    group by placed.candidate_id

)

select * from stopped
