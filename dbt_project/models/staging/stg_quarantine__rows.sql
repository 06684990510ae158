-- Rows that could not be loaded, without their content: it may hold personal data.
with source as (

    select * from {{ source('lake', 'quarantine_rows') }}

),

context as (

    select * from {{ ref('build_context') }}

),

ranked as (

    select
        source.row_key,
        source.source,
        source.object,
        source.file,
        source.line,
        source.field,
        source.reason,
        source.problem,
        source.remedy,
        source._ingested_at as quarantined_at,
        row_number() over (
            partition by source.row_key
            order by source._ingested_at, source.line nulls last
        ) as occurrence
    from source
    cross join context
    where source._ingested_at <= context.known_at

),

known as (

    select
        row_key,

        source,
        object,
        file,
        line,

        field,
        reason,
        problem,
        remedy,

        quarantined_at
    from ranked
    where occurrence = 1

)

select * from known
