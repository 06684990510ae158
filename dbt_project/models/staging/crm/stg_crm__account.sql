{{ config(materialized='table') }}

with source as (

    {{ crm_latest(source('lake', 'crm_account')) }}

),

typed as (

    select
        Id as account_id,
        {{ text_of('Name') }} as account_name,
        {{ text_of('Type') }} as account_type,
        {{ text_of('ParentId') }} as parent_account_id,

        {{ text_of('Tier__c') }} as tier,
        {{ text_of('Industry') }} as industry,
        {{ text_of('Segment__c') }} as segment,
        {{ text_of('Region__c') }} as region,
        {{ text_of('Plan__c') }} as plan,

        {{ text_of('OwnerId') }} as owner_id,
        {{ text_of('CSM__c') }} as csm_id,

        {{ safe_number('ContractValue__c') }} as contract_value,
        {{ safe_number('LifetimeValue__c') }} as lifetime_value,
        {{ safe_number('AdoptionScore__c') }} as adoption_score,

        {{ safe_date('CustomerSince__c') }} as customer_since,
        {{ safe_date('RenewalDate__c') }} as renewal_date,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
