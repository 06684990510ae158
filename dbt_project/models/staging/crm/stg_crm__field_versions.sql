-- Versions of single fields that a programme names as the CRM does: custom fields of a filter, and those whose change
-- makes somebody due.
with source as (

    {{ crm_versions(source('lake', 'crm_fields')) }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by object, Id, field, changed_at
            order by _exported_at desc, _ingested_at desc, _row_hash desc
        ) as same_time_rank
    from source
    where changed_at <= as_of
        and not is_deletion

),

typed as (

    select
        object,
        Id as record_id,
        lower(field) as field,
        {{ text_of('value') }} as value,
        changed_at
    from ranked
    where same_time_rank = 1

)

select * from typed
