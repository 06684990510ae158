with source as (

    {{ crm_latest(source('lake', 'crm_project')) }}

),

typed as (

    select
        Id as project_id,
        {{ text_of('Account__c') }} as account_id,
        {{ text_of('Opportunity__c') }} as opportunity_id,
        {{ text_of('Manager__c') }} as manager_id,

        {{ text_of('Name') }} as project_name,
        {{ text_of('Status__c') }} as status,

        {{ safe_number('Cost__c') }} as cost,
        {{ safe_number('Revenue__c') }} as revenue,

        {{ safe_date('StartDate__c') }} as start_date,
        {{ safe_date('FinishedDate__c') }} as finished_date,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
