with source as (

    {{ crm_latest(source('lake', 'crm_adoption')) }}

),

typed as (

    select
        Id as adoption_id,
        {{ text_of('Account__c') }} as account_id,

        {{ safe_number('ActiveUsers__c') }} as active_users,
        {{ safe_number('FeatureAdoption__c') }} as feature_adoption,

        {{ safe_date('Month__c') }} as month,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
