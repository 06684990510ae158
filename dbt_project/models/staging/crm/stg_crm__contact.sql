{{ config(materialized='table') }}

with source as (

    {{ crm_latest(source('lake', 'crm_contact')) }}

),

typed as (

    select
        Id as contact_id,
        {{ text_of('AccountId') }} as account_id,

        {{ text_of('FirstName') }} as first_name,
        {{ text_of('LastName') }} as last_name,
        {{ text_of('Email') }} as email,
        {{ person_key('Email') }} as person_key,
        {{ text_of('MobilePhone') }} as mobile_phone,
        {{ text_of('Title') }} as title,

        {{ text_of('Role__c') }} as role,
        {{ text_of('TimeZone__c') }} as time_zone,
        {{ text_of('Language__c') }} as language,

        {{ safe_boolean('IsPrimary__c') }} as is_primary,
        {{ safe_boolean('HasOptedOutOfEmail') }} as is_opted_out,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
