-- Invitations from which a mail may yet go out, with what the rules about the person look at: those that are planned,
-- and those that were sent and may be reminded (a week at most after the last reminder's day, so before the links end).
with invitations as (

    select * from {{ ref('int_invitation_stages') }} where delivery_state in ('pending', 'sent')

),

surveys as (

    select
        survey_id,
        {{ json_text('definition', "'$.reminders.after_days[0]'") }} is not null as has_reminders,
        cast({{ safe_number(json_text('definition', "'$.link_valid_days'")) }} as bigint) + 7 as days_open
    from {{ ref('int_survey_definitions') }}

),

leads as (

    select * from {{ ref('stg_crm__lead') }}

),

people as (

    select * from {{ ref('int_people') }}

),

accounts as (

    select * from {{ ref('stg_crm__account') }}

),

context as (

    select * from {{ ref('build_context') }}

),

mailing as (

    -- A lead that has become a contact is that contact, as it is for proposals.
    select
        invitations.invitation_id,
        invitations.survey_id,
        coalesce(leads.converted_contact_id, invitations.contact_id) as contact_id,
        invitations.account_id,
        invitations.delivery_state
    from invitations
    cross join context
    left join surveys on surveys.survey_id = invitations.survey_id
    left join leads on leads.lead_id = invitations.contact_id and leads.is_converted
    where invitations.delivery_state = 'pending'
        or (
            surveys.has_reminders
            and invitations.sent_at > {{ add_days('context.as_of', '-surveys.days_open') }}
            and invitations.responded_at is null
            and invitations.unsubscribed_at is null
        )

),

open_invitations as (

    select
        mailing.invitation_id,
        mailing.survey_id,
        mailing.contact_id,
        mailing.delivery_state,
        people.person_key,
        people.email,
        coalesce(mailing.account_id, people.account_id) as asked_account_id,
        {{ is_gone('people', 'accounts') }} as is_gone
    from mailing
    left join people on people.contact_id = mailing.contact_id
    left join accounts on accounts.account_id = coalesce(mailing.account_id, people.account_id)

)

select * from open_invitations
