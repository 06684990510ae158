with responses as (

    select * from {{ ref('int_responses') }}

),

followups as (

    select * from {{ ref('int_followup_events') }}

),

context as (

    select * from {{ ref('build_context') }}

),

needed as (

    -- Every detractor, and who was one when the follow-up began.
    select
        responses.*,
        followups.assignee_id,
        followups.assignment_rule,
        followups.sla_hours,
        coalesce(followups.opened_at, responses.submitted_at) as opened_at,
        followups.acknowledge_due_at,
        followups.due_at,
        followups.first_contact_at,
        case when responses.is_imported then 'not_tracked' else coalesce(followups.step, 'open') end as step,
        coalesce(followups.reopened, 0) as reopened,
        followups.outcome,
        followups.closed_at
    from responses
    left join followups on followups.invitation_id = responses.response_id
    where responses.category = 'detractor'
        or followups.invitation_id is not null

),

facts as (

    select
        needed.response_id,
        needed.survey_id,
        needed.contact_id,
        needed.account_id,
        needed.owner_id_at_response,
        needed.score,

        needed.assignee_id,
        needed.assignment_rule,
        needed.sla_hours,

        needed.opened_at,
        needed.acknowledge_due_at,
        needed.due_at,
        needed.first_contact_at,
        {{ seconds_between('needed.opened_at', 'needed.first_contact_at') }} / 3600.0 as hours_to_first_contact,
        case
            when needed.first_contact_at is not null then needed.first_contact_at <= needed.due_at
            when needed.due_at < context.as_of then false
        end as within_sla,
        -- To acknowledge is to make contact; the two clocks have times of their own.
        case
            when needed.first_contact_at is not null then needed.first_contact_at <= needed.acknowledge_due_at
            when needed.acknowledge_due_at < context.as_of then false
        end as acknowledged_in_time,

        needed.step,
        case when needed.step in ('open', 'closed', 'not_tracked') then needed.step else 'in_progress' end as status,
        case
            when needed.step = 'not_tracked' then 'not_tracked'
            when needed.step = 'closed' and needed.outcome in ('resolved', 'partially_resolved') then 'resolved'
            when needed.step in ('open', 'closed') then 'unresolved'
            else 'in_progress'
        end as resolution,
        needed.reopened,
        needed.outcome,
        needed.closed_at
    from needed
    cross join context

)

select * from facts
