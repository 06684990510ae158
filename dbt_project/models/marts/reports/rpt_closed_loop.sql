with followups as (

    select * from {{ ref('fct_followups') }} where status <> 'not_tracked'

),

responses as (

    select * from {{ ref('fct_responses') }}

),

context as (

    select * from {{ ref('build_context') }}

),

sequenced as (

    select
        *,
        lag(category) over (partition by contact_id order by submitted_at, response_id) as previous_category
    from responses

),

cases as (

    -- Own responses that are detractors or have a follow-up (then the score has changed since).
    select
        sequenced.submitted_at,
        coalesce(sequenced.owner_id_at_response, '(none)') as owner,
        coalesce(sequenced.team_at_response, '(none)') as team,
        coalesce(sequenced.tier, '(none)') as tier,

        case when sequenced.category = 'detractor' then 1 else 0 end as is_detractor,
        case when sequenced.category = 'detractor' and sequenced.previous_category = 'detractor' then 1 else 0 end
            as is_repeat,
        case when followups.first_contact_at is not null then 1 else 0 end as is_contacted,
        case when followups.within_sla then 1 else 0 end as is_within_sla,
        case when followups.within_sla is not null then 1 else 0 end as is_settled,
        case
            when followups.first_contact_at is null
                and followups.status <> 'closed'
                and followups.due_at < context.as_of then 1
            else 0
        end as is_overdue,
        followups.status,
        followups.hours_to_first_contact
    from followups
    inner join sequenced on sequenced.response_id = followups.response_id
    cross join context

),

periods as (

    {% for segment in ['all', 'owner', 'team', 'tier'] %}
    {% for grain in period_grains() %}
    select
        cases.*,
        '{{ grain }}' as period_grain,
        {{ period_start(grain, 'submitted_at') }} as period_start,
        '{{ segment }}' as segment,
        {{ "'all'" if segment == 'all' else segment }} as segment_value
    from cases
    {{ 'union all' if not loop.last }}
    {% endfor %}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

counted as (

    select
        period_grain,
        period_start,
        segment,
        segment_value,

        cast(sum(is_detractor) as bigint) as detractors,
        count(*) as to_follow_up,
        cast(sum(is_contacted) as bigint) as contacted,
        cast(sum(is_within_sla) as bigint) as contacted_within_sla,
        cast(sum(is_within_sla) as double) / nullif(sum(is_settled), 0) as share_within_sla,

        cast(sum(case when status = 'open' then 1 else 0 end) as bigint) as open,
        cast(sum(case when status = 'in_progress' then 1 else 0 end) as bigint) as in_progress,
        cast(sum(case when status = 'closed' then 1 else 0 end) as bigint) as closed,

        -- Rounded: a sum of floats depends on the order of its rows in the last digits.
        round(avg(hours_to_first_contact), 6) as mean_hours_to_first_contact,
        round(percentile_cont(0.5) within group (order by hours_to_first_contact), 6) as median_hours_to_first_contact,
        cast(sum(is_overdue) as bigint) as overdue,

        cast(sum(is_repeat) as bigint) as repeat_detractors,
        cast(sum(is_repeat) as double) / nullif(sum(is_detractor), 0) as repeat_detractor_rate
    from periods
    group by period_grain, period_start, segment, segment_value

)

select * from counted
