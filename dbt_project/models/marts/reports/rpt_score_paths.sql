with changes as (

    select * from {{ ref('fct_score_changes') }}

),

labelled as (

    select
        *,
        coalesce(owner_id_at_response, '(none)') as owner,
        coalesce(team_at_response, '(none)') as team,
        case
            when previous_contacted_within_sla then 'within_sla'
            when not previous_contacted_within_sla then 'not_within_sla'
        end as what_was_done
    from changes

),

grouped as (

    select labelled.*, 'all' as follow_up from labelled
    union all
    select labelled.*, what_was_done as follow_up from labelled where what_was_done is not null

),

periods as (

    {% for segment in ['all', 'owner', 'team', 'tier'] %}
    {% for grain in period_grains() %}
    select
        grouped.*,
        '{{ grain }}' as period_grain,
        {{ period_start(grain, 'submitted_at') }} as period_start,
        '{{ segment }}' as segment,
        {{ "'all'" if segment == 'all' else "coalesce(" ~ segment ~ ", '(none)')" }} as segment_value
    from grouped
    {{ 'union all' if not loop.last }}
    {% endfor %}
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

counted as (

    select
        survey_type,
        period_grain,
        period_start,
        segment,
        segment_value,
        follow_up,
        previous_category as from_category,
        category as to_category,

        count(*) as changes,
        count(distinct contact_id) as contacts,
        round(avg(cast(score_change as double)), 6) as mean_change
    from periods
    group by
        survey_type, period_grain, period_start, segment, segment_value, follow_up, previous_category, category

),

shares as (

    select
        *,
        round(
            changes / cast(sum(changes) over (
                partition by
                    survey_type, period_grain, period_start, segment, segment_value, follow_up, from_category
            ) as double), 6
        ) as share
    from counted

)

select * from shares
