{% set again_days = 90 %}
with history as (

    select * from {{ ref('int_contact_history') }}

),

spaced as (

    -- How long ago the contact was asked before, by whatever survey.
    select
        *,
        lag(happened_at) over (partition by contact_id, what order by happened_at, survey_id) as happened_before_at
    from history

),

judged as (

    select
        contact_id,
        survey_id,
        happened_at,
        case when what = 'asked' then 1 else 0 end as is_ask,
        case when what = 'answered' then 1 else 0 end as is_answer,
        case
            when what = 'asked' and {{ days_between('happened_before_at', 'happened_at') }} < {{ again_days }} then 1
            else 0
        end as is_asked_again
    from spaced

),

by_survey as (

    select survey_id as reported_survey_id, judged.*
    from judged
    union all
    select 'all' as reported_survey_id, judged.*
    from judged

),

per_contact as (

    {% for grain in ['month', 'quarter', 'year'] %}
    select
        reported_survey_id as survey_id,
        '{{ grain }}' as period_grain,
        {{ period_start(grain, 'happened_at') }} as period_start,
        contact_id,
        cast(sum(is_ask) as bigint) as asks,
        cast(sum(is_answer) as bigint) as answers,
        cast(sum(is_asked_again) as bigint) as asks_again
    from by_survey
    group by reported_survey_id, {{ period_start(grain, 'happened_at') }}, contact_id
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

report as (

    select
        survey_id,
        period_grain,
        period_start,

        count(*) as contacts_asked,
        cast(sum(case when asks = 1 then 1 else 0 end) as bigint) as asked_once,
        cast(sum(case when asks = 2 then 1 else 0 end) as bigint) as asked_twice,
        cast(sum(case when asks >= 3 then 1 else 0 end) as bigint) as asked_three_times_or_more,

        cast(sum(asks) as bigint) as asks,
        round(cast(sum(asks) as double) / count(*), 6) as asks_per_contact,
        max(asks) as most_asks,
        cast(sum(case when asks_again > 0 then 1 else 0 end) as bigint) as contacts_asked_again,
        cast(sum(case when answers > 0 then 1 else 0 end) as bigint) as contacts_answered
    from per_contact
    where asks > 0
    group by survey_id, period_grain, period_start

)

select * from report
