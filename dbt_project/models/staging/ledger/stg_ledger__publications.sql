with source as (

    select * from {{ source('lake', 'ledger_publications') }}

),

context as (

    select * from {{ ref('build_context') }}

),

known as (

    select
        source.publication_id,
        source.build_id,

        source.as_of,
        source.known_at,
        source.definitions_hash,
        source.code_version,

        source.checks_passed,
        source.published_at
    from source
    cross join context
    where source.published_at <= context.known_at

)

select * from known
