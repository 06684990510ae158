-- Of surveys that ask a sample: who is due and cannot be asked on that date, because of a list, an ask or an answer
-- that came before, or of a wish to be asked less often. What comes after the date counts for nobody's place, so that
-- it stands while a wave is under way.
with persons as (

    select * from {{ ref('int_sample_persons') }}

),

suppressions as (

    select * from {{ ref('int_suppression_periods') }}

),

opt_outs as (

    select * from {{ ref('int_opt_outs') }}

),

exclusions as (

    select * from {{ ref('int_exclusion_periods') }}

),

history as (

    select
        history.*,
        'family:' || surveys.family as family_key
    from {{ ref('int_sample_past') }} as history
    left join {{ ref('int_survey_definitions') }} as surveys on surveys.survey_id = history.survey_id

),

listed as (

    select persons.candidate_id
    from persons
    inner join suppressions
        on suppressions.person_key = persons.person_key
        and coalesce(suppressions.survey_id, persons.survey_id) = persons.survey_id
    where suppressions.begins_at < persons.due_at
        and suppressions.ends_at >= persons.due_at
    union
    select persons.candidate_id
    from persons
    inner join opt_outs on opt_outs.person_key = persons.person_key
    union
    select persons.candidate_id
    from persons
    inner join exclusions
        on exclusions.subject_id
        = case exclusions.subject when 'contact' then persons.contact_id else persons.account_id end
    where exclusions.begins_at < persons.due_at
        and exclusions.ends_at > persons.due_at

),

resting as (

    select candidate_id from listed
    union
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
    ) or (
        history.what = 'asked'
        and {{ days_between('history.happened_at', 'persons.due_at') }} < persons.wished_days
    )
    {{ 'union' if not loop.last }}
    {% endfor %}

)

select * from resting
