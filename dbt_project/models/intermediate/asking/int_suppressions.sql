-- Addresses (as person keys) that get no mail: listed, unsubscribed, hard bounced.
with list_events as (

    select * from {{ ref('int_list_events') }}

),

decisions as (

    select * from {{ ref('stg_ledger__decisions') }}

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
    where list_events.kind in ('suppressed_address', 'unsubscribed')
        or (list_events.kind = 'bounced' and list_events.is_hard)

),

ranked as (

    select
        *,
        row_number() over (partition by person_key order by seq) as entry
    from by_address
    where person_key is not null

),

suppressions as (

    select
        person_key,
        reason,
        occurred_at as suppressed_since
    from ranked
    where entry = 1

)

select * from suppressions
