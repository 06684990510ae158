-- One row per sealed ask, with what the sender knows of it.
with decisions as (

    select * from {{ ref('int_sealed_decisions') }} where decision = 'ask'

),

message_events as (

    select * from {{ ref('int_message_events') }}

),

hand_overs as (

    -- Where the books put it: the last of the sender's verdicts.
    select
        invitation_id,
        kind,
        row_number() over (partition by invitation_id order by seq desc) as age
    from message_events
    where kind in ('sent', 'rejected', 'suppressed', 'uncertain')

),

stages as (

    select
        invitation_id,
        min(case when kind = 'sent' then occurred_at end) as sent_at,
        min(case when kind = 'uncertain' then occurred_at end) as uncertain_at,
        min(case when kind = 'delivered' then occurred_at end) as delivered_at,
        min(case when kind = 'bounced' then occurred_at end) as bounced_at
    from message_events
    group by invitation_id

),

invitations as (

    select
        decisions.candidate_id as invitation_id,

        decisions.contact_id,
        decisions.account_id,
        decisions.person_key,
        decisions.survey_id,
        decisions.wave_id,
        'email' as channel,

        decisions.trigger_event,
        decisions.trigger_record_id,

        coalesce(hand_overs.kind, 'pending') as delivery_state,
        decisions.sealed_at as planned_at,
        stages.sent_at,
        stages.uncertain_at,
        stages.delivered_at,
        stages.bounced_at
    from decisions
    left join hand_overs on hand_overs.invitation_id = decisions.candidate_id and hand_overs.age = 1
    left join stages on stages.invitation_id = decisions.candidate_id

)

select * from invitations
