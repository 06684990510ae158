with history as (

    select * from {{ ref('int_contact_history') }}

),

per_contact as (

    {% for grain in ['month', 'quarter', 'year'] %}
    select
        '{{ grain }}' as period_grain,
        {{ period_start(grain, 'happened_at') }} as period_start,
        contact_id,
        cast(sum(case when what = 'asked' then 1 else 0 end) as bigint) as asks,
        cast(sum(case when what = 'answered' then 1 else 0 end) as bigint) as answers
    from history
    group by {{ period_start(grain, 'happened_at') }}, contact_id
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

report as (

    select
        period_grain,
        period_start,

        count(*) as contacts_asked,
        cast(sum(case when asks = 1 then 1 else 0 end) as bigint) as asked_once,
        cast(sum(case when asks = 2 then 1 else 0 end) as bigint) as asked_twice,
        cast(sum(case when asks >= 3 then 1 else 0 end) as bigint) as asked_three_times_or_more,

        cast(sum(asks) as bigint) as asks,
        max(asks) as most_asks,
        cast(sum(case when answers > 0 then 1 else 0 end) as bigint) as contacts_answered
    from per_contact
    where asks > 0
    group by period_grain, period_start

)

select * from report
