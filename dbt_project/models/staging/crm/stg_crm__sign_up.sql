with source as (

    {{ crm_latest(source('lake', 'crm_sign_up')) }}

),

typed as (

    select
        Id as sign_up_id,
        {{ text_of('Lead__c') }} as lead_id,
        {{ text_of('Contact__c') }} as contact_id,

        {{ text_of('Kind__c') }} as sign_up_kind,

        {{ safe_date('SignedUpDate__c') }} as signed_up_date,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
