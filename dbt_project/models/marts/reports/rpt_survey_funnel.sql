{% set stages = ['sent', 'delivered', 'opened', 'clicked', 'responded', 'completed', 'unsubscribed', 'bounced'] %}
with invitations as (

    select * from {{ ref('fct_invitations') }}

),

surveys as (

    select * from {{ ref('dim_surveys') }}

),

cohorts as (

    -- Cohort of the time of sending; what was never sent counts in the period of its planning.
    select
        invitations.*,
        coalesce(invitations.sent_at, invitations.planned_at) as cohort_at,
        surveys.in_headline
    from invitations
    inner join surveys on surveys.survey_id = invitations.survey_id

),

by_survey as (

    select survey_id as reported_survey_id, cohorts.*
    from cohorts
    union all
    select 'all' as reported_survey_id, cohorts.*
    from cohorts
    where in_headline

),

counted as (

    {% for grain in period_grains() %}
    select
        survey_type,
        reported_survey_id as survey_id,
        channel,
        '{{ grain }}' as period_grain,
        {{ period_start(grain, 'cohort_at') }} as period_start,

        count(*) as planned,
        {% for state in ['pending', 'rejected', 'suppressed', 'uncertain'] %}
        cast(sum(case when delivery_state = '{{ state }}' then 1 else 0 end) as bigint) as {{ state }},
        {% endfor %}
        {% for stage in stages %}
        {%- if stage == 'delivered' %}
        -- Few mail servers say so: what did not come back counts as delivered.
        cast(sum(case when sent_at is not null and (bounced_at is null or delivered_at is not null) then 1 else 0 end)
            as bigint) as delivered,
        {%- else %}
        cast(sum(case when sent_at is not null and {{ stage }}_at is not null then 1 else 0 end) as bigint)
            as {{ stage }}{{ ',' if not loop.last }}
        {%- endif %}
        {% endfor %}
    from by_survey
    group by survey_type, reported_survey_id, channel, {{ period_start(grain, 'cohort_at') }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

funnel as (

    select
        counted.survey_type,
        counted.survey_id,
        counted.channel,
        counted.period_grain,
        counted.period_start,

        counted.planned,
        counted.pending,
        counted.rejected,
        counted.suppressed,
        counted.uncertain,

        {% for stage in stages -%}
        counted.{{ stage }},
        {% endfor %}
        cast(counted.responded as double) / nullif(counted.sent, 0) as response_rate,
        cast(counted.opened as double) / nullif(counted.sent, 0) as open_rate,
        cast(counted.clicked as double) / nullif(counted.sent, 0) as click_rate,
        cast(counted.completed as double) / nullif(counted.responded, 0) as completion_rate,

        surveys.target_response_rate
    from counted
    left join surveys on surveys.survey_id = counted.survey_id

)

select * from funnel
