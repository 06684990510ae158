-- One row per value that a survey's filter allows; no row of a kind means everyone.
with surveys as (

    select * from {{ ref('int_survey_definitions') }} where status = 'active'

),

positions as (

    select * from {{ ref('int_numbers') }} where n < 100

),

unfolded as (

    {% for kind in ['contact_roles', 'account_tiers'] %}
    select
        surveys.survey_id,
        '{{ kind }}' as filter,
        {{ json_text(
            'surveys.definition', "'$.audience." ~ kind ~ "[' || cast(positions.n as string) || ']'"
        ) }} as allowed_value
    from surveys
    cross join positions
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

allowed as (

    select distinct
        survey_id,
        filter,
        allowed_value
    from unfolded
    where allowed_value is not null

)

select * from allowed
