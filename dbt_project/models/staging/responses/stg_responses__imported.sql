{{ config(materialized='table') }}

-- The newest known version of each imported row; rows without a score were invited and did not answer.
with source as (

    select * from {{ source('lake', 'responses_imported') }}

),

context as (

    select * from {{ ref('build_context') }}

),

ranked as (

    select
        source.*,
        coalesce(source.submitted_at, source._ingested_at) as contacted_at,
        context.as_of,
        row_number() over (
            partition by source.external_id
            order by source._ingested_at desc, source.source_file desc, source.source_line desc, source.content_hash
        ) as version_rank
    from source
    cross join context
    where source._ingested_at <= context.known_at

),

typed as (

    select
        external_id,
        'import:' || external_id as response_id,

        {{ text_of('survey') }} as survey,
        lower({{ text_of('survey_type') }}) as survey_type,
        {{ text_of('contact_id') }} as contact_id,
        {{ person_key('contact_email') }} as person_key,
        {{ text_of('account_id') }} as account_id,

        cast({{ safe_number('score') }} as bigint) as score,
        coalesce({{ text_of('scale') }}, '0-10') as scale,
        {{ text_of('comment') }} as comment,
        coalesce({{ text_of('channel') }}, 'import') as channel,
        coalesce({{ text_of('attributes') }}, '{}') as attributes,

        contacted_at,
        submitted_at
    from ranked
    where version_rank = 1
        and contacted_at <= as_of

)

select * from typed
