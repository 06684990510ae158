-- Changes of the fields that some trigger watches: from one value to another, or from empty to one. What a record was
-- created with is no change.
with versions as (

    select * from {{ ref('stg_crm__field_versions') }}

),

neighbours as (

    select
        *,
        row_number() over (partition by object, field, record_id order by changed_at) as version_no,
        lag(value) over (partition by object, field, record_id order by changed_at) as value_before
    from versions

),

changes as (

    select
        object,
        field,
        record_id,
        value,
        changed_at
    from neighbours
    where version_no > 1
        and value is not null
        and coalesce(value_before, '') <> value

)

select * from changes
