-- The course of each follow-up, from its events: when it opened, who first made contact, how it ended.
with events as (

    select * from {{ ref('stg_ledger__events') }} where kind in ('followup_opened', 'first_contact', 'outcome')

),

parsed as (

    select
        seq,
        kind,
        invitation_id,
        occurred_at,

        {{ json_text('payload', "'$.assignee_id'") }} as assignee_id,
        {{ json_text('payload', "'$.assignment_rule'") }} as assignment_rule,
        {{ safe_timestamp(json_text('payload', "'$.acknowledge_due_at'")) }} as acknowledge_due_at,
        {{ safe_timestamp(json_text('payload', "'$.due_at'")) }} as due_at,
        cast({{ safe_number(json_text('payload', "'$.sla_hours'")) }} as bigint) as sla_hours,

        {{ json_text('payload', "'$.status'") }} as status,
        {{ json_text('payload', "'$.outcome'") }} as outcome,

        row_number() over (partition by invitation_id, kind order by seq desc) as age
    from events

),

opened as (

    select * from parsed where kind = 'followup_opened' and age = 1

),

first_contacts as (

    select
        invitation_id,
        min(occurred_at) as first_contact_at
    from parsed
    where kind = 'first_contact'
    group by invitation_id

),

outcomes as (

    select * from parsed where kind = 'outcome' and age = 1

),

followups as (

    select
        opened.invitation_id,

        opened.assignee_id,
        opened.assignment_rule,
        opened.sla_hours,

        opened.occurred_at as opened_at,
        opened.acknowledge_due_at,
        opened.due_at,
        first_contacts.first_contact_at,

        coalesce(
            outcomes.status,
            case when first_contacts.first_contact_at is not null then 'in_progress' else 'open' end
        ) as status,
        outcomes.outcome,
        case when outcomes.status = 'closed' then outcomes.occurred_at end as closed_at
    from opened
    left join first_contacts on first_contacts.invitation_id = opened.invitation_id
    left join outcomes on outcomes.invitation_id = opened.invitation_id

)

select * from followups
