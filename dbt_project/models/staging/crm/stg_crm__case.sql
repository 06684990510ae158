with source as (

    {{ crm_latest(source('lake', 'crm_case')) }}

),

typed as (

    select
        Id as case_id,
        {{ text_of('AccountId') }} as account_id,
        {{ text_of('ContactId') }} as contact_id,
        {{ text_of('OwnerId') }} as owner_id,

        {{ text_of('CaseNumber') }} as case_number,
        {{ text_of('Status') }} as status,
        {{ text_of('Priority') }} as priority,
        {{ text_of('Reason') }} as reason,

        {{ safe_boolean('IsClosed') }} as is_closed,

        {{ safe_timestamp('ClosedDate') }} as closed_at,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
