with source as (

    {{ crm_latest(source('lake', 'crm_contract')) }}

),

typed as (

    select
        Id as contract_id,
        {{ text_of('AccountId') }} as account_id,

        {{ text_of('Status') }} as status,

        {{ safe_number('ContractValue__c') }} as contract_value,

        {{ safe_boolean('IsRenewal__c') }} as is_renewal,

        {{ safe_date('StartDate') }} as start_date,
        {{ safe_date('EndDate') }} as end_date,
        {{ safe_date('ActivatedDate') }} as activated_date,
        {{ safe_date('RenewedDate__c') }} as renewed_date,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
