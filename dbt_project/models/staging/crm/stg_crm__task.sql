with source as (

    {{ crm_latest(source('lake', 'crm_task')) }}

),

typed as (

    select
        Id as task_id,
        {{ text_of('WhatId') }} as account_id,
        {{ text_of('WhoId') }} as contact_id,
        {{ text_of('OwnerId') }} as owner_id,

        {{ text_of('Subject') }} as subject,
        {{ text_of('Type') }} as task_type,
        {{ text_of('Status') }} as status,

        {{ safe_boolean('IsClosed') }} as is_closed,

        {{ safe_date('ActivityDate') }} as activity_date,
        {{ safe_timestamp('CompletedDateTime') }} as completed_at,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at,
        is_deleted
    from source

)

select * from typed
