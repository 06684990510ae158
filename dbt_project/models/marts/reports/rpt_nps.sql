with daily as (

    select * from {{ ref('int_nps_daily') }}

),

by_survey as (

    -- Each survey alone, and 'all' of those that are in the headline, within their type.
    select survey_id as reported_survey_id, daily.*
    from daily
    union all
    select 'all' as reported_survey_id, daily.*
    from daily
    where in_headline

),

periods as (

    {% for grain in period_grains() %}
    select
        survey_type,
        reported_survey_id as survey_id,
        '{{ grain }}' as period_grain,
        {{ period_start(grain, 'submitted_date') }} as period_start,
        segment,
        segment_value,

        cast(sum(promoters) as bigint) as promoters,
        cast(sum(passives) as bigint) as passives,
        cast(sum(detractors) as bigint) as detractors,
        cast(sum(latest_{{ grain }}_promoters) as bigint) as latest_promoters,
        cast(sum(latest_{{ grain }}_passives) as bigint) as latest_passives,
        cast(sum(latest_{{ grain }}_detractors) as bigint) as latest_detractors
    from by_survey
    group by
        survey_type, reported_survey_id, {{ period_start(grain, 'submitted_date') }}, segment, segment_value
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

counted as (

    select
        *,
        promoters + passives + detractors as responses,
        latest_promoters + latest_passives + latest_detractors as respondents
    from periods

),

report as (

    select
        survey_type,
        survey_id,
        period_grain,
        period_start,
        segment,
        segment_value,

        responses,
        promoters,
        passives,
        detractors,

        {{ nps('promoters', 'detractors', 'responses') }} as nps,
        {{ nps_low('promoters', 'detractors', 'responses') }} as nps_low,
        {{ nps_high('promoters', 'detractors', 'responses') }} as nps_high,

        respondents,
        {{ nps('latest_promoters', 'latest_detractors', 'respondents') }} as nps_respondents,

        responses >= {{ var('reportable_min_responses') }} as is_reportable
    from counted

)

select * from report
