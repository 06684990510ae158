-- Of surveys that ask a sample: who is due and at rest on that date, because of an ask or an answer before it. Only what
-- came before counts, so that nobody's place changes while a wave is under way.
with due as (

    select * from {{ ref('int_due') }}
    where survey_id in (select survey_id from {{ ref('int_survey_waits') }} where sample_by is not null)

),

people as (

    select * from {{ ref('int_people') }}

),

history as (

    select
        history.*,
        'family:' || surveys.family as family_key
    from {{ ref('int_contact_history') }} as history
    left join {{ ref('int_survey_definitions') }} as surveys on surveys.survey_id = history.survey_id

),

persons as (

    select
        due.candidate_id,
        due.due_at,
        due.contact_id,
        people.person_key,
        due.cooldown_days,
        due.skip_after_response_days,
        {{ counted_over('due') }} as counted_over
    from due
    left join people on people.contact_id = due.contact_id

),

resting as (

    {% for key in ['contact_id', 'person_key'] %}
    select persons.candidate_id
    from persons
    inner join history on history.{{ key }} = persons.{{ key }} and history.happened_at < persons.due_at
    where (
        history.what = 'answered'
        and {{ days_between('history.happened_at', 'persons.due_at') }} < persons.skip_after_response_days
    ) or (
        history.what = 'asked'
        and persons.counted_over in ('all', history.survey_id, coalesce(history.family_key, 'all'))
        and {{ days_between('history.happened_at', 'persons.due_at') }} < persons.cooldown_days
    )
    {{ 'union' if not loop.last }}
    {% endfor %}

)

select * from resting
