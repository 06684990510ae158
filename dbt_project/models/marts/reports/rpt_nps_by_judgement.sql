with judgements as (

    select * from {{ ref('int_judgements') }}

),

answerers as (

    select * from {{ ref('int_answerers') }}

),

surveys as (

    select survey_id, survey_type from {{ ref('int_survey_definitions') }}

),

scored as (

    select
        surveys.survey_type,
        answerers.survey_id,
        judgements.judgement,
        judgements.scored_at,
        {{ nps_category('judgements.score') }} as category
    from judgements
    inner join answerers on answerers.invitation_id = judgements.invitation_id
    inner join surveys on surveys.survey_id = answerers.survey_id

),

periods as (

    {% for grain in ('all', 'month') %}
    select
        survey_type,
        survey_id,
        '{{ grain }}' as period_grain,
        {{ period_start(grain, 'scored_at') }} as period_start,
        judgement,
        {% for band in ('promoter', 'passive', 'detractor') %}
        cast(sum(case when category = '{{ band }}' then 1 else 0 end) as bigint) as {{ band }}s,
        {% endfor %}
        count(*) as responses
    from scored
    group by survey_type, survey_id, {{ period_start(grain, 'scored_at') }}, judgement
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

report as (

    select
        survey_type,
        survey_id,
        period_grain,
        period_start,
        judgement,

        responses,
        promoters,
        passives,
        detractors,

        {{ nps('promoters', 'detractors', 'responses') }} as nps,
        {{ nps_low('promoters', 'detractors', 'responses') }} as nps_low,
        {{ nps_high('promoters', 'detractors', 'responses') }} as nps_high
    from periods

)

select * from report
