-- Counts per day, survey and segment, from which every period adds up. `latest_<grain>_<band>` counts the responses
-- that are the latest of their contact and survey in their week, month, ... so that each contact counts once.
{% set bands = ['promoter', 'passive', 'detractor'] %}
with responses as (

    select * from {{ ref('int_responses') }}

),

segments as (

    select * from {{ ref('int_response_segments') }}

),

ranked as (

    select
        response_id,
        survey_type,
        survey_id,
        in_headline,
        category,
        cast(submitted_at as date) as submitted_date,
        {% for grain in period_grains() %}
        row_number() over (
            partition by survey_type, survey_id, contact_id, {{ period_start(grain, 'submitted_at') }}
            order by submitted_at desc, response_id
        ) as place_in_{{ grain }}{{ ',' if not loop.last }}
        {% endfor %}
    from responses

),

daily as (

    select
        ranked.survey_type,
        ranked.survey_id,
        ranked.in_headline,
        segments.segment,
        segments.segment_value,
        ranked.submitted_date,
        {% for band in bands %}
        cast(sum(case when ranked.category = '{{ band }}' then 1 else 0 end) as bigint) as {{ band }}s,
        {%- for grain in period_grains() %}
        cast(
            sum(case when ranked.category = '{{ band }}' and ranked.place_in_{{ grain }} = 1 then 1 else 0 end)
            as bigint
        ) as latest_{{ grain }}_{{ band }}s,
        {%- endfor %}
        {%- endfor %}
        count(*) as responses
    from ranked
    inner join segments on segments.response_id = ranked.response_id
    group by
        ranked.survey_type, ranked.survey_id, ranked.in_headline, segments.segment, segments.segment_value,
        ranked.submitted_date

)

select * from daily
