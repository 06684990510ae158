-- What had happened and was known, payload unread. Order is `seq`, never a time.
with source as (

    select * from {{ source('lake', 'ledger_events') }}

),

context as (

    select * from {{ ref('build_context') }}

),

known as (

    select
        source.seq,
        source.kind,

        source.message_id,
        source.invitation_id,
        source.survey_id,
        source.contact_id,
        source.account_id,

        source.occurred_at,
        source.recorded_at,

        source.payload
    from source
    cross join context
    where source.occurred_at <= context.as_of
        and source.recorded_at <= context.known_at

)

select * from known
