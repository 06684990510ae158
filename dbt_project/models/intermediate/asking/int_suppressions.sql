-- Addresses (as person keys) that get no mail: listed, unsubscribed, hard bounced; or none of one survey, which their
-- owner does not want. An unsubscribe ends when its owner subscribes again, everything else stays.
with list_events as (

    select * from {{ ref('int_list_events') }}

),

decisions as (

    select * from {{ ref('stg_ledger__decisions') }}

),

wishes as (

    select * from {{ ref('int_wishes') }} where not is_wanted and survey_id <> 'all'

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

subscribed_again as (

    select
        person_key,
        max(seq) as last_seq
    from list_events
    where kind = 'resubscribed'
    group by person_key

),

ranked as (

    select
        by_address.*,
        row_number() over (partition by by_address.person_key order by by_address.seq) as entry
    from by_address
    left join subscribed_again on subscribed_again.person_key = by_address.person_key
    where by_address.person_key is not null
        and (by_address.reason <> 'unsubscribed' or by_address.seq > coalesce(subscribed_again.last_seq, 0))

),

suppressions as (

    select
        person_key,
        cast(null as {{ dbt.type_string() }}) as survey_id,
        reason,
        occurred_at as suppressed_since
    from ranked
    where entry = 1

),

unwanted as (

    select
        wishes.person_key,
        wishes.survey_id,
        'not_wanted' as reason,
        wishes.wished_at as suppressed_since
    from wishes
    left join suppressions on suppressions.person_key = wishes.person_key
    where suppressions.person_key is null

),

blocked as (

    select * from suppressions
    union all
    select * from unwanted

)

select * from blocked
