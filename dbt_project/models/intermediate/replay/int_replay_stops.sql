-- Candidates that an ask of the replay itself stands against: on the day on which they would be asked too, or within
-- the cooldown, or the days that the person wished for, on one of the days on which they are looked at. Whatever else
-- speaks against them.
with rules as (

    select * from {{ ref('int_replay_rules') }}

),

asks as (

    select * from {{ ref('int_replay_asks') }}

),

wishes as (

    select * from {{ ref('int_replay_wishes') }}

),

candidates as (

    select
        rules.candidate_id,
        rules.person,
        rules.survey_id,
        rules.counted_over,
        'family:' || coalesce(rules.family, rules.survey_id) as family_key,
        rules.cooldown_days,
        rules.due_on,
        rules.last_on,
        rules.asked_on,
        wishes.quiet_after,
        wishes.quiet_until,
        asks.candidate_id is not null as is_asked
    from rules
    left join asks on asks.candidate_id = rules.candidate_id
    left join wishes on wishes.candidate_id = rules.candidate_id

),

met as (

    select
        candidates.candidate_id,
        asked.survey_id as asked_by,
        asked.asked_on,
        asked.asked_on = candidates.asked_on as shares_day,
        (
            asked.asked_on < candidates.last_on
            and candidates.counted_over in ('all', asked.survey_id, asked.family_key)
            and asked.asked_on > {{ date_plus('candidates.due_on', '-candidates.cooldown_days') }}
            -- From the day after the ask on: a cooldown of one day lets it pass.
            and candidates.cooldown_days > 1
        )
        or (
            asked.asked_on > candidates.quiet_after
            and asked.asked_on < candidates.quiet_until
        ) as fails_cooldown
    from candidates
    inner join candidates as asked
        on asked.is_asked
        and asked.person = candidates.person
        and asked.asked_on <= candidates.last_on
        and asked.asked_on > least(
            {{ date_plus('candidates.due_on', '-greatest(candidates.cooldown_days, 1)') }},
            coalesce(candidates.quiet_after, candidates.due_on)
        )
    where not candidates.is_asked

),

stopped as (

    select
        candidate_id,
        max(case when shares_day then 1 else 0 end) = 1 as shares_day,
        max(case when fails_cooldown then 1 else 0 end) = 1 as fails_cooldown,
        {{ latest('asked_by', 'asked_on') }} as stopped_by
    from met
    where shares_day
        or fails_cooldown
    group by candidate_id

)

select * from stopped
