with source as (

    {{ crm_latest(source('lake', 'crm_opportunity')) }}

),

typed as (

    select
        Id as opportunity_id,
        {{ text_of('AccountId') }} as account_id,
        {{ text_of('OwnerId') }} as owner_id,
        {{ text_of('Product2Id__c') }} as product_id,

        {{ text_of('Name') }} as opportunity_name,
        {{ text_of('StageName') }} as stage,

        {{ safe_number('Amount') }} as amount,

        {{ safe_boolean('IsWon') }} as is_won,
        {{ safe_boolean('IsClosed') }} as is_closed,

        {{ safe_date('CloseDate') }} as close_date,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
