with staged as (

    select * from {{ ref('int_invitation_stages') }}

),

surveys as (

    select * from {{ ref('int_survey_definitions') }}

),

account_history as (

    select * from {{ ref('int_account_history') }}

),

invitations as (

    select
        staged.invitation_id,

        staged.survey_id,
        surveys.survey_type,
        staged.wave_id,
        staged.contact_id,
        staged.account_id,
        staged.person_key,

        staged.channel,
        staged.trigger_event,
        staged.trigger_record_id,
        account_history.owner_id as owner_id_at_planning,

        staged.planned_at,
        staged.sent_at,
        staged.delivered_at,
        staged.opened_at,
        staged.clicked_at,
        staged.responded_at,
        staged.completed_at,
        staged.unsubscribed_at,
        staged.bounced_at,
        staged.shown_at,
        staged.dismissed_at,
        staged.machine_opens,

        staged.score,
        {{ nps_category('staged.score') }} as category,

        staged.delivery_state,
        case
            when staged.completed_at is not null then 'completed'
            when staged.responded_at is not null then 'responded'
            when staged.bounced_at is not null then 'bounced'
            when staged.delivery_state in ('rejected', 'suppressed', 'uncertain') then staged.delivery_state
            when staged.clicked_at is not null then 'clicked'
            when staged.opened_at is not null then 'opened'
            when staged.delivered_at is not null then 'delivered'
            when staged.sent_at is not null then 'sent'
            else 'planned'
        end as status
    from staged
    left join surveys on surveys.survey_id = staged.survey_id
    left join account_history
        on account_history.account_id = staged.account_id
        and account_history.valid_from <= staged.planned_at
        and account_history.valid_to > staged.planned_at

)

select * from invitations
