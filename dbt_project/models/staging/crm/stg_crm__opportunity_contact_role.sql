with source as (

    {{ crm_latest(source('lake', 'crm_opportunity_contact_role')) }}

),

typed as (

    select
        Id as opportunity_contact_role_id,
        {{ text_of('OpportunityId') }} as opportunity_id,
        {{ text_of('ContactId') }} as contact_id,

        {{ text_of('Role') }} as role,

        {{ safe_boolean('IsPrimary') }} as is_primary,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
