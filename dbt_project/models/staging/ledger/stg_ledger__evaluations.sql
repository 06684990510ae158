-- Evaluations that stood at the build's as_of and were sealed when it knew of them.
with source as (

    select * from {{ source('lake', 'ledger_evaluations') }}

),

context as (

    select * from {{ ref('build_context') }}

),

known as (

    select
        source.evaluation_id,
        source.predecessor_id,
        source.publication_id,

        source.as_of as evaluated_as_of,
        source.sealed_at,

        source.asks,
        source.skips
    from source
    cross join context
    where source.as_of <= context.as_of
        and source.sealed_at <= context.known_at

)

select * from known
