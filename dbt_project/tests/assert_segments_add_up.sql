-- Within a survey, period and segment, the parts add up to the whole: no response is hidden in a total.
with nps as (

    select * from {{ ref('rpt_nps') }}

),

wholes as (

    select * from nps where segment = 'all'

),

parts as (

    select
        survey_type,
        survey_id,
        period_grain,
        coalesce(period_start, date '1900-01-01') as period_start,
        segment,
        sum(responses) as responses,
        sum(respondents) as respondents
    from nps
    group by survey_type, survey_id, period_grain, coalesce(period_start, date '1900-01-01'), segment

),

wrong as (

    select parts.*
    from parts
    inner join wholes
        on wholes.survey_type = parts.survey_type
        and wholes.survey_id = parts.survey_id
        and wholes.period_grain = parts.period_grain
        and coalesce(wholes.period_start, date '1900-01-01') = parts.period_start
    where parts.responses <> wholes.responses
        or parts.respondents <> wholes.respondents

)

select * from wrong
