with benchmarks as (

    select
        *,
        row_number() over (partition by industry order by quarter_start desc) as age
    from {{ ref('nps_benchmarks') }}

),

nps as (

    select
        *,
        max(period_start) over (partition by survey_type) as newest_year
    from {{ ref('rpt_nps') }}
    where survey_id = 'all' and period_grain = 'year'

),

own as (

    select * from nps where segment = 'all' and period_start = newest_year

),

own_by_industry as (

    select * from nps where segment = 'industry' and period_start = newest_year

),

compared as (

    select
        own.survey_type,
        benchmarks.industry,
        cast(benchmarks.quarter_start as date) as benchmark_quarter,
        benchmarks.source,

        cast(benchmarks.median_nps as double) as median_nps,
        cast(benchmarks.top_quartile_nps as double) as top_quartile_nps,

        own.period_start as own_year,
        own.nps as own_nps,
        own.nps_low as own_nps_low,
        own.nps_high as own_nps_high,
        own.responses as own_responses,

        own_by_industry.nps as own_industry_nps,
        coalesce(own_by_industry.responses, 0) as own_industry_responses,

        own.nps - benchmarks.median_nps as gap_to_median,
        case
            when own.nps >= benchmarks.top_quartile_nps then 'top quartile'
            when own.nps >= benchmarks.median_nps then 'above median'
            else 'below median'
        end as position
    from own
    cross join benchmarks
    left join own_by_industry
        on own_by_industry.survey_type = own.survey_type
        and own_by_industry.segment_value = benchmarks.industry
    where benchmarks.age = 1

)

select * from compared
