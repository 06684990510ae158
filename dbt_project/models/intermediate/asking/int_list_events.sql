-- Entries and removals of the exclusion and suppression lists, what suppresses an address by itself, and what persons
-- chose for themselves.
with events as (

    select * from {{ ref('stg_ledger__events') }}
    where kind in (
        'suppressed_address', 'excluded', 'exclusion_removed', 'unsubscribed', 'resubscribed', 'preferred', 'bounced'
    )
        -- An alert goes to one of us: when it bounces, that says nothing about the customer's address.
        and coalesce({{ json_text('payload', "'$.message_kind'") }}, 'invitation') <> 'alert'

),

parsed as (

    select
        seq,
        kind,
        invitation_id,
        contact_id,
        occurred_at,

        {{ json_text('payload', "'$.person_key'") }} as person_key,
        {{ json_text('payload', "'$.reason'") }} as reason,
        {{ json_text('payload', "'$.subject'") }} as subject,
        {{ json_text('payload', "'$.subject_id'") }} as subject_id,
        {{ safe_timestamp(json_text('payload', "'$.until'")) }} as excluded_until,
        {{ safe_boolean(json_text('payload', "'$.hard'")) }} as is_hard,
        {{ json_text('payload', "'$.survey_id'") }} as wished_survey_id,
        {{ safe_boolean(json_text('payload', "'$.wanted'")) }} as is_wanted,
        cast({{ safe_number(json_text('payload', "'$.at_most_every_days'")) }} as int) as at_most_every_days
    from events

)

select * from parsed
