with source as (

    {{ crm_latest(source('lake', 'crm_product')) }}

),

typed as (

    select
        Id as product_id,
        {{ text_of('Name') }} as product_name,
        {{ text_of('ProductCode') }} as product_code,
        {{ text_of('Family') }} as product_family,

        {{ safe_boolean('IsActive') }} as is_active,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
