-- For each schedule, how many occurrences ago may matter: from the oldest that an active survey may still ask about to
-- now, counted back from the newest.
with triggers as (

    select * from {{ ref('int_survey_triggers') }}

),

numbers as (

    select * from {{ ref('int_numbers') }}

),

context as (

    select * from {{ ref('build_context') }}

),

schedules as (

    {% for event, days in var('schedule_days').items() %}
    select
        '{{ event }}' as trigger_event,
        {{ days }} as every_days,
        min({{ add_days('earliest_due_at', '-delay_days') }}) as occurs_from
    from triggers
    where trigger_event = '{{ event }}'
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

steps_back as (

    select
        schedules.trigger_event,
        schedules.every_days,
        numbers.n as steps,
        context.as_of
    from schedules
    cross join context
    inner join numbers
        on numbers.n <= {{ days_between('schedules.occurs_from', 'context.as_of') }} / schedules.every_days + 1

)

select * from steps_back
