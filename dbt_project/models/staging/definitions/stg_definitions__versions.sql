-- Every version of every survey programme that was known, definition unread.
with source as (

    select * from {{ source('lake', 'definitions_surveys') }}

),

context as (

    select * from {{ ref('build_context') }}

),

known as (

    select
        source.survey_id,
        source.definition_hash,
        source.status,
        {{ text_of('source.definition') }} as definition,
        source._ingested_at as known_from,
        row_number() over (
            partition by source.survey_id
            order by source._ingested_at desc, source._batch_id desc, source.definition_hash desc
        ) as age
    from source
    cross join context
    where source._ingested_at <= context.known_at

)

select * from known
