with source as (

    {{ crm_latest(source('lake', 'crm_order_item')) }}

),

typed as (

    select
        Id as order_item_id,
        {{ text_of('OrderId') }} as order_id,
        {{ text_of('Product2Id') }} as product_id,

        {{ text_of('ProductCategory__c') }} as product_category,

        {{ safe_number('Quantity') }} as quantity,
        {{ safe_number('UnitPrice') }} as unit_price,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
