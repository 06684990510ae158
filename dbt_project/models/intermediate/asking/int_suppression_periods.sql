-- From when to when each address (as person key) got no mail: listed, unsubscribed, hard bounced; or none of one
-- survey, which its owner did not want. An unsubscribe ends when its owner subscribes again, everything else stays.
with list_events as (

    select * from {{ ref('int_list_events') }}

),

decisions as (

    select * from {{ ref('stg_ledger__decisions') }}

),

wishes as (

    select * from {{ ref('int_wish_periods') }} where not is_wanted and survey_id <> 'all'

),

by_address as (

    select
        coalesce(list_events.person_key, decisions.person_key) as person_key,
        case list_events.kind
            when 'suppressed_address' then coalesce(list_events.reason, 'suppressed')
            else list_events.kind
        end as reason,
        list_events.occurred_at,
        list_events.seq
    from list_events
    left join decisions on decisions.candidate_id = list_events.invitation_id
    where list_events.kind in ('suppressed_address', 'unsubscribed', 'resubscribed')
        or (list_events.kind = 'bounced' and list_events.is_hard)

),

ended as (

    select
        *,
        min(case when reason = 'resubscribed' then occurred_at end) over (
            partition by person_key
            order by seq
            rows between 1 following and unbounded following
        ) as subscribed_again_at
    from by_address
    where person_key is not null

),

periods as (

    select
        person_key,
        cast(null as {{ dbt.type_string() }}) as survey_id,
        reason,
        seq,
        occurred_at as begins_at,
        coalesce(case when reason = 'unsubscribed' then subscribed_again_at end, {{ far_future() }}) as ends_at
    from ended
    where reason <> 'resubscribed'
    union all
    select
        person_key,
        survey_id,
        'not_wanted' as reason,
        seq,
        begins_at,
        ends_at
    from wishes

),

suppressions as (

    -- What was taken back before it happened, being told late, never stood.
    select * from periods where begins_at < ends_at

)

select * from suppressions
