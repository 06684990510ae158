-- The times of each stage. A later stage implies the earlier ones: many mail programs show no open, and an answer
-- without a recorded click was still a click; so each stage is at the latest at the next one's time.
with invitations as (

    select * from {{ ref('int_invitations') }}

),

hits as (

    select * from {{ ref('int_hits') }}

),

answers as (

    select * from {{ ref('int_confirmed_answers') }} where not is_imported

),

completions as (

    select
        invitation_id,
        min(occurred_at) as completed_at
    from {{ ref('int_judged_answers') }}
    where is_completed and is_confirmed and not is_voided
    group by invitation_id

),

answered as (

    select
        invitations.*,
        answers.score,
        answers.responded_at,
        completions.completed_at,

        -- Clicks of a mail that a scanner went through (it followed a hidden link) tell nothing about the person.
        case when hits.hidden_link_hits > 0 then null else hits.clicked_at end as hit_clicked_at,
        hits.opened_at as hit_opened_at,
        coalesce(hits.machine_opens, 0) as machine_opens,
        hits.unsubscribed_at,
        hits.shown_at,
        hits.dismissed_at
    from invitations
    left join hits on hits.invitation_id = invitations.invitation_id
    left join answers on answers.invitation_id = invitations.invitation_id
    left join completions on completions.invitation_id = invitations.invitation_id

),

clicked as (

    select *, least(hit_clicked_at, responded_at) as clicked_at
    from answered

),

opened as (

    select *, least(hit_opened_at, clicked_at) as opened_at
    from clicked

),

delivered as (

    select *, least(delivered_at, opened_at) as reached_at
    from opened

),

stages as (

    select
        invitation_id,
        contact_id,
        account_id,
        person_key,
        survey_id,
        wave_id,
        channel,

        trigger_event,
        trigger_record_id,

        delivery_state,
        planned_at,
        case when delivery_state = 'sent' then least(sent_at, reached_at) end as sent_at,
        reached_at as delivered_at,
        opened_at,
        clicked_at,
        responded_at,
        completed_at,
        unsubscribed_at,
        bounced_at,
        shown_at,
        dismissed_at,

        machine_opens,
        score
    from delivered

)

select * from stages
