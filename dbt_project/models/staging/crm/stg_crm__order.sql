with source as (

    {{ crm_latest(source('lake', 'crm_order')) }}

),

typed as (

    select
        Id as order_id,
        {{ text_of('AccountId') }} as account_id,
        {{ text_of('BillToContactId') }} as contact_id,
        {{ text_of('OwnerId') }} as owner_id,

        {{ text_of('Status') }} as status,

        {{ safe_number('TotalAmount') }} as total_amount,

        {{ safe_date('EffectiveDate') }} as effective_date,
        {{ safe_date('DeliveredDate__c') }} as delivered_date,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
