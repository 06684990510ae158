-- Raw hits of each invitation's links: people and mail scanners alike.
with events as (

    select * from {{ ref('stg_ledger__events') }} where kind in ('opened', 'clicked', 'viewed', 'unsubscribed')

),

parsed as (

    select
        kind,
        invitation_id,
        occurred_at,
        case when kind = 'clicked' then {{ json_text('payload', "'$.score'") }} end as clicked_score,
        kind = 'clicked' and {{ safe_boolean(json_text('payload', "'$.hidden'")) }} as is_hidden
    from events

),

hits as (

    select
        invitation_id,

        count(distinct case when not is_hidden then clicked_score end) as distinct_score_links,
        cast(sum(case when is_hidden then 1 else 0 end) as bigint) as hidden_link_hits,

        min(case when kind = 'opened' then occurred_at end) as opened_at,
        min(case when kind in ('clicked', 'viewed') and not is_hidden then occurred_at end) as clicked_at,
        min(case when kind = 'unsubscribed' then occurred_at end) as unsubscribed_at
    from parsed
    group by invitation_id

)

select * from hits
