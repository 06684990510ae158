-- What arrived, file by file; also files that changed nothing.
with source as (

    select * from {{ source('lake', 'arrivals_files') }}

),

context as (

    select * from {{ ref('build_context') }}

),

known as (

    select
        source.source,
        source.object,
        source.file,
        source.mode,

        source.rows_read,
        source.loaded,
        source.unchanged,
        source.deleted,
        source.quarantined,
        source.reasons,

        source.exported_at,
        source._ingested_at as arrived_at
    from source
    cross join context
    where source._ingested_at <= context.known_at

)

select * from known
