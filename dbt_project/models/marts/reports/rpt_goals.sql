with targets as (

    select * from {{ ref('nps_targets') }}

),

surveys as (

    select * from {{ ref('dim_surveys') }}

),

nps as (

    select * from {{ ref('rpt_nps') }} where period_grain = 'year'

),

context as (

    select * from {{ ref('build_context') }}

),

wanted as (

    select
        scope,
        survey_type,
        'all' as survey_id,
        segment,
        segment_value,
        cast(period_start as date) as period_start,
        cast(target_nps as double) as target_nps,
        cast(null as double) as target_half_width
    from targets
    union all
    -- What a programme wants has no year: it is the goal of the current one, until the programme is changed.
    select
        'survey' as scope,
        surveys.survey_type,
        surveys.survey_id,
        'all' as segment,
        'all' as segment_value,
        {{ period_start('year', 'context.as_of') }} as period_start,
        surveys.target_nps,
        surveys.target_half_width
    from surveys
    cross join context
    where surveys.target_nps is not null
        and surveys.status <> 'removed'

),

measured as (

    select
        wanted.*,
        nps.nps as actual_nps,
        nps.nps_low,
        nps.nps_high,
        (nps.nps_high - nps.nps_low) / 2 as half_width,
        coalesce(nps.responses, 0) as responses,
        nps.is_reportable and coalesce((nps.nps_high - nps.nps_low) / 2 <= wanted.target_half_width, true) as is_precise
    from wanted
    left join nps
        on nps.survey_type = wanted.survey_type
        and nps.survey_id = wanted.survey_id
        and nps.segment = wanted.segment
        and nps.segment_value = wanted.segment_value
        and nps.period_start = wanted.period_start

),

goals as (

    select
        scope,
        survey_type,
        survey_id,
        segment,
        segment_value,
        'year' as period_grain,
        period_start,

        target_nps,
        actual_nps,
        nps_low,
        nps_high,
        target_half_width,
        half_width,
        responses,

        actual_nps - target_nps as gap,
        actual_nps >= target_nps as is_on_track,
        case
            when responses = 0 then 'no responses'
            when not is_precise then 'too few responses'
            when actual_nps >= target_nps then 'on track'
            else 'behind'
        end as verdict
    from measured

)

select * from goals
