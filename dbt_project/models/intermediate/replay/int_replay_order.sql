-- The candidates that nothing real stands against, in the order in which the days of a replay come to them, person by
-- person: by day, priority, and what was due first. Days are numbers, counted from the first of the replay.
with rules as (

    select * from {{ ref('int_replay_rules') }}

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
        candidate_id,
        person,
        row_number() over (partition by person order by asked_on, priority, due_at, candidate_id) as place,
        {{ days_between('starts_on', 'due_on') }} as due_day,
        {{ days_between('starts_on', 'asked_on') }} as asked_day,
        cooldown_days,
        counted_over,
        survey_id,
        'family:' || coalesce(family, survey_id) as family_key
    from passing

)

select * from placed
