with targets as (

    select * from {{ ref('nps_targets') }}

),

nps as (

    select * from {{ ref('rpt_nps') }} where survey_id = 'all' and period_grain = 'year'

),

goals as (

    select
        targets.scope,
        targets.survey_type,
        targets.segment,
        targets.segment_value,
        'year' as period_grain,
        cast(targets.period_start as date) as period_start,

        cast(targets.target_nps as double) as target_nps,
        nps.nps as actual_nps,
        nps.nps_low,
        nps.nps_high,
        coalesce(nps.responses, 0) as responses,

        nps.nps - targets.target_nps as gap,
        nps.nps >= targets.target_nps as is_on_track,
        case
            when nps.responses is null then 'no responses'
            when not nps.is_reportable then 'too few responses'
            when nps.nps >= targets.target_nps then 'on track'
            else 'behind'
        end as verdict
    from targets
    left join nps
        on nps.survey_type = targets.survey_type
        and nps.segment = targets.segment
        and nps.segment_value = targets.segment_value
        and nps.period_start = cast(targets.period_start as date)

)

select * from goals
