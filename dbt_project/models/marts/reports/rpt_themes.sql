with themes as (

    select * from {{ ref('int_response_themes') }} where in_headline

),

mentions as (

    {% for grain in period_grains() %}
    select
        survey_type,
        '{{ grain }}' as period_grain,
        {{ period_start(grain, 'submitted_at') }} as period_start,
        theme,
        response_id,
        category
    from themes
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

totals as (

    select
        survey_type,
        period_grain,
        period_start,
        count(distinct response_id) as comments,
        count(distinct case when category = 'detractor' then response_id end) as detractor_comments
    from mentions
    group by survey_type, period_grain, period_start

),

by_theme as (

    select
        survey_type,
        period_grain,
        period_start,
        theme,

        count(*) as mentions,
        cast(sum(case when category = 'promoter' then 1 else 0 end) as bigint) as promoters,
        cast(sum(case when category = 'passive' then 1 else 0 end) as bigint) as passives,
        cast(sum(case when category = 'detractor' then 1 else 0 end) as bigint) as detractors
    from mentions
    group by survey_type, period_grain, period_start, theme

),

report as (

    select
        by_theme.*,
        totals.comments,
        cast(by_theme.mentions as double) / totals.comments as share,
        cast(by_theme.detractors as double) / nullif(totals.detractor_comments, 0) as share_of_detractors
    from by_theme
    inner join totals
        on totals.survey_type = by_theme.survey_type
        and totals.period_grain = by_theme.period_grain
        and coalesce(totals.period_start, date '1900-01-01') = coalesce(by_theme.period_start, date '1900-01-01')

)

select * from report
