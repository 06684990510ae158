with versions as (

    select
        *,
        row_number() over (partition by object, field, record_id order by changed_at desc) as age
    from {{ ref('stg_crm__field_versions') }}
    where object in ('account', 'contact')

),

dimension as (

    select
        object as subject,
        record_id as subject_id,
        field,

        value
    from versions
    where age = 1

)

select * from dimension
