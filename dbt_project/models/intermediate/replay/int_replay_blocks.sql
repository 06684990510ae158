-- Which candidates of a replay what really happened stands against: an ask or an answer of the same person within the
-- days of the rule, up to the last day on which it is looked at, or any ask within those of a wish. With the survey
-- that did.
with candidates as (

    select
        candidates.candidate_id,
        candidates.contact_id,
        people.person_key,
        {{ counted_over('candidates') }} as counted_over,
        candidates.cooldown_days,
        candidates.skip_after_response_days,
        candidates.due_on,
        candidates.last_on,
        wishes.quiet_after,
        wishes.quiet_until
    from {{ ref('int_replay_candidates') }} as candidates
    left join {{ ref('int_people') }} as people on people.contact_id = candidates.contact_id
    left join {{ ref('int_replay_wishes') }} as wishes on wishes.candidate_id = candidates.candidate_id

),

history as (

    select
        history.*,
        'family:' || surveys.family as family_key
    from {{ ref('int_replay_history') }} as history
    left join {{ ref('int_survey_definitions') }} as surveys on surveys.survey_id = history.survey_id

),

met as (

    {% for key in ['contact_id', 'person_key'] %}
    select
        candidates.candidate_id,
        history.what,
        history.survey_id,
        history.happened_on
    from candidates
    inner join history
        on history.{{ key }} = candidates.{{ key }}
        and history.happened_on <= candidates.last_on
        and history.happened_on > {{ date_plus(
            'candidates.due_on',
            "-case history.what when 'asked' then candidates.cooldown_days else candidates.skip_after_response_days end"
        ) }}
    where (
        history.what = 'answered' and candidates.skip_after_response_days > 0
    ) or (
        history.what = 'asked'
        and candidates.cooldown_days > 0
        and candidates.counted_over in ('all', history.survey_id, coalesce(history.family_key, 'all'))
    )
    union all
    select
        candidates.candidate_id,
        history.what,
        history.survey_id,
        history.happened_on
    from candidates
    inner join history
        on history.{{ key }} = candidates.{{ key }}
        and history.what = 'asked'
        and history.happened_on > candidates.quiet_after
        and history.happened_on <= candidates.quiet_until
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

blocks as (

    select
        candidate_id,
        max(case when what = 'asked' then 1 else 0 end) = 1 as fails_cooldown,
        max(case when what = 'answered' then 1 else 0 end) = 1 as fails_recent_response,
        {{ latest("case when what = 'asked' then survey_id end", "case when what = 'asked' then happened_on end") }}
            as blocked_by
    from met
    group by candidate_id

)

select * from blocks
