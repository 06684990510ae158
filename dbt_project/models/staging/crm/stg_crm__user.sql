{{ config(materialized='table') }}

with source as (

    {{ crm_latest(source('lake', 'crm_user')) }}

),

typed as (

    select
        Id as user_id,
        {{ text_of('Name') }} as user_name,
        {{ text_of('Email') }} as email,
        {{ text_of('ManagerId') }} as manager_id,

        {{ text_of('Region__c') }} as region,
        {{ text_of('Team__c') }} as team,

        {{ safe_boolean('IsActive') }} as is_active,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
