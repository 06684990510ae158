-- Whose answer it is: of an invitation, or of a visit to the form on the website, where nobody was asked.
with invitations as (

    select * from {{ ref('int_invitations') }}

),

visitors as (

    select * from {{ ref('int_visitors') }}

),

answerers as (

    select
        invitation_id,
        false as is_visitor,

        survey_id,
        contact_id,
        account_id,
        person_key,

        trigger_event,
        trigger_record_id,

        planned_at,
        sent_at,
        delivered_at
    from invitations
    union all
    select
        visit_id as invitation_id,
        true as is_visitor,

        survey_id,
        contact_id,
        account_id,
        person_key,

        cast(null as string) as trigger_event,
        cast(null as string) as trigger_record_id,

        came_at as planned_at,
        cast(null as timestamp) as sent_at,
        cast(null as timestamp) as delivered_at
    from visitors

)

select * from answerers
