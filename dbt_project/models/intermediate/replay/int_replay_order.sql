-- The candidates that nothing real stands against, in the order in which the days of a replay come to them, person by
-- person: by day, priority, and what was due first. Days are numbers, counted from the first of the replay.
with rules as (

    select * from {{ ref('int_replay_rules') }}

),

wishes as (

    select * from {{ ref('int_replay_wishes') }}

),

passing as (

    select *
    from rules
    where asked_on <= ends_on
        and not (
            {%- for rule in rules_alone() %}
            fails_{{ rule }}{{ ' or' if not loop.last }}
            {%- endfor %}
        )

),

placed as (

    select
        passing.candidate_id,
        passing.person,
        row_number() over (
            partition by passing.person
            order by passing.asked_on, passing.priority, passing.due_at, passing.candidate_id
        ) as place,
        {{ days_between('passing.starts_on', 'passing.due_on') }} as due_day,
        {{ days_between('passing.starts_on', 'passing.asked_on') }} as asked_day,
        passing.cooldown_days,
        {{ days_between('passing.starts_on', 'wishes.quiet_after') }} as quiet_after,
        {{ days_between('passing.starts_on', 'wishes.quiet_until') }} as quiet_until,
        passing.counted_over,
        passing.survey_id,
        'family:' || coalesce(passing.family, passing.survey_id) as family_key
    from passing
    left join wishes on wishes.candidate_id = passing.candidate_id

)

select * from placed
