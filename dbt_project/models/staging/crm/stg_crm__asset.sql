with source as (

    {{ crm_latest(source('lake', 'crm_asset')) }}

),

typed as (

    select
        Id as asset_id,
        {{ text_of('AccountId') }} as account_id,
        {{ text_of('ContactId') }} as contact_id,
        {{ text_of('Product2Id') }} as product_id,

        {{ text_of('Status') }} as status,

        {{ safe_date('InstallDate') }} as install_date,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
