with followups as (

    select * from {{ ref('fct_followups') }} where status <> 'not_tracked'

),

responses as (

    select * from {{ ref('int_response_sequence') }}

),

cases as (

    -- Own responses that are detractors or have a follow-up (then the score has changed since).
    select
        followups.*,
        responses.submitted_at,
        coalesce(responses.owner_id_at_response, '(none)') as owner,
        coalesce(responses.team_at_response, '(none)') as team,
        coalesce(responses.tier, '(none)') as tier,
        responses.contract_value,

        responses.category = 'detractor' as is_detractor,
        responses.previous_category_of_any_survey = 'detractor' as was_detractor,
        case when responses.category = 'detractor' then responses.next_category end as next_category,

        -- The account's next response, and its next detractor that was converted: the last of a period has the money.
        responses.next_submitted_at_of_account as next_at,
        min(case
            when responses.category = 'detractor' and responses.next_category <> 'detractor' then responses.submitted_at
        end) over (
            partition by followups.account_id
            order by responses.submitted_at, responses.response_id
            rows between 1 following and unbounded following
        ) as next_converted_at
    from followups
    inner join responses on responses.response_id = followups.response_id

),

periods as (

    {% for segment in ['all', 'owner', 'team', 'tier'] %}
    {% for grain in period_grains() %}
    select
        cases.*,
        '{{ grain }}' as period_grain,
        {{ period_start(grain, 'submitted_at') }} as period_start,
        '{{ segment }}' as segment,
        {{ "'all'" if segment == 'all' else segment }} as segment_value,
        is_detractor and resolution <> 'resolved' and account_id is not null
            and {{ is_last_of_period(grain, 'submitted_at', 'next_at') }} as is_at_risk,
        next_category <> 'detractor' and account_id is not null
            and {{ is_last_of_period(grain, 'submitted_at', 'next_converted_at') }} as is_kept
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

        {{ count_where('is_detractor') }} as detractors,
        count(*) as to_follow_up,
        count(first_contact_at) as contacted,
        {{ count_where('acknowledged_in_time') }} as acknowledged_in_time,
        {{ share_where('acknowledged_in_time', 'acknowledged_in_time is not null') }} as share_acknowledged_in_time,
        {{ count_where('within_sla') }} as contacted_within_sla,
        {{ share_where('within_sla', 'within_sla is not null') }} as share_within_sla,

        {{ count_where("status = 'open'") }} as open,
        {{ count_where("status = 'in_progress'") }} as in_progress,
        {{ count_where("status = 'closed'") }} as closed,
        {{ count_where("resolution = 'resolved'") }} as resolved,
        {{ count_where("resolution = 'unresolved'") }} as unresolved,
        {{ count_where('reopened > 0') }} as reopened,

        -- Rounded: a sum of floats depends on the order of its rows in the last digits.
        round(avg(hours_to_first_contact), 6) as mean_hours_to_first_contact,
        round(percentile_cont(0.5) within group (order by hours_to_first_contact), 6) as median_hours_to_first_contact,
        {{ count_where("not within_sla and first_contact_at is null and status <> 'closed'") }} as overdue,

        {{ count_where('is_detractor and was_detractor') }} as repeat_detractors,
        {{ share_where('is_detractor and was_detractor', 'is_detractor') }} as repeat_detractor_rate,

        count(next_category) as detractors_answered_again,
        {{ count_where("next_category <> 'detractor'") }} as converted,
        {{ count_where("next_category = 'promoter'") }} as converted_to_promoter,
        {{ share_where("next_category <> 'detractor'", 'next_category is not null') }} as conversion_rate,

        {{ count_where('is_at_risk') }} as accounts_at_risk,
        {{ money_where('is_at_risk') }} as money_at_risk,
        {{ count_where('is_kept') }} as accounts_kept,
        {{ money_where('is_kept') }} as money_kept
    from periods
    group by period_grain, period_start, segment, segment_value

)

select * from counted
