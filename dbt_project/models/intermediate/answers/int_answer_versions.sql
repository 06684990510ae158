-- Every answer that was posted: a score, a change of it, a comment added to it. `scored_at` is the time of its score.
with events as (

    select * from {{ ref('stg_ledger__events') }} where kind = 'answered'

),

parsed as (

    select
        seq,
        invitation_id,
        occurred_at,
        coalesce({{ safe_timestamp(json_text('payload', "'$.scored_at'")) }}, occurred_at) as scored_at,

        cast({{ safe_number(json_text('payload', "'$.score'")) }} as bigint) as score,
        {{ json_text('payload', "'$.comment'") }} as comment,
        coalesce({{ json_text('payload', "'$.answers'") }}, '{}') as answers,

        coalesce({{ json_text('payload', "'$.channel'") }}, 'email') as channel,
        coalesce({{ json_text('payload', "'$.judged'") }}, 'provisional') as judged,
        coalesce({{ safe_number(json_text('payload', "'$.visible_ms'")) }}, 0) as visible_ms,
        {{ safe_boolean(json_text('payload', "'$.completed'")) }} as is_completed
    from events

)

select * from parsed
