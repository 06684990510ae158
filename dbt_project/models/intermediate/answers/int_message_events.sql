-- What became of each invitation mail; reminders and alerts have their own.
with events as (

    select * from {{ ref('stg_ledger__events') }}
    where kind in ('sent', 'rejected', 'suppressed', 'uncertain', 'delivered', 'bounced')

),

parsed as (

    select
        seq,
        kind,
        invitation_id,
        occurred_at,
        coalesce({{ json_text('payload', "'$.message_kind'") }}, 'invitation') as message_kind
    from events

),

invitation_mails as (

    select
        seq,
        kind,
        invitation_id,
        occurred_at
    from parsed
    where message_kind = 'invitation'

)

select * from invitation_mails
