with source as (

    {{ crm_latest(source('lake', 'crm_lead')) }}

),

typed as (

    select
        Id as lead_id,
        {{ text_of('ConvertedContactId') }} as converted_contact_id,

        {{ text_of('FirstName') }} as first_name,
        {{ text_of('LastName') }} as last_name,
        {{ text_of('Email') }} as email,
        {{ person_key('Email') }} as person_key,
        {{ text_of('MobilePhone') }} as mobile_phone,
        {{ text_of('Company') }} as company,

        {{ text_of('Status') }} as status,
        {{ text_of('LeadSource') }} as lead_source,

        {{ safe_boolean('IsConverted') }} as is_converted,
        {{ safe_boolean('HasOptedOutOfEmail') }} as is_opted_out,

        {{ safe_date('ConvertedDate') }} as converted_date,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
