with nps as (

    select * from {{ ref('rpt_nps') }} where segment = 'all' and period_grain <> 'all'

),

sequenced as (

    select
        *,
        row_number() over periods as place,
        lag(period_start) over periods as previous_period_start,
        lag(responses) over periods as previous_responses,
        lag(promoters) over periods as previous_promoters,
        lag(detractors) over periods as previous_detractors,
        lag(nps) over periods as previous_nps
    from nps
    window periods as (partition by survey_type, survey_id, period_grain order by period_start)

),

compared as (

    select
        *,
        round(nps - previous_nps, 6) as change,
        round((
            {{ nps_centre('promoters', 'detractors', 'responses') }}
            - {{ nps_centre('previous_promoters', 'previous_detractors', 'previous_responses') }}
        ) / sqrt(
            {{ nps_variance('promoters', 'detractors', 'responses') }} / (responses + 3)
            + {{ nps_variance('previous_promoters', 'previous_detractors', 'previous_responses') }}
                / (previous_responses + 3)
        ), 6) as z
    from sequenced

),

tested as (

    select
        *,
        round({{ normal_p_value('z') }}, 6) as p_value
    from compared

),

judged as (

    select
        survey_type,
        survey_id,
        period_grain,
        period_start,
        previous_period_start,

        responses,
        previous_responses,
        nps,
        previous_nps,
        change,

        z,
        p_value,
        coalesce(p_value < 0.05, false) as is_significant,
        case
            when place < 3 then 'too few periods'
            when p_value < 0.05 and z > 0 then 'up'
            when p_value < 0.05 then 'down'
            else 'no significant change'
        end as verdict
    from tested

)

select * from judged
