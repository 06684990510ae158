-- The course of each follow-up, from its events: when it opened, who has it, how far it came, how it ended. Of several
-- the newest in the order of the ledger decides, whatever its time.
with events as (

    select * from {{ ref('stg_ledger__events') }}
    where kind in (
        'followup_opened', 'followup_assigned', 'first_contact', 'followup_step', 'outcome', 'followup_reopened'
    )

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

        case kind
            when 'first_contact' then 'acknowledged'
            when 'followup_step' then {{ json_text('payload', "'$.step'") }}
            when 'outcome' then 'closed'
            -- Where nobody ever had contact it is open again, and the event says so.
            when 'followup_reopened' then coalesce({{ json_text('payload', "'$.step'") }}, 'investigating')
        end as step,
        {{ json_text('payload', "'$.outcome'") }} as outcome
    from events

),

opened as (

    select *, row_number() over (partition by invitation_id order by seq desc) as age
    from parsed
    where kind = 'followup_opened'

),

hand_overs as (

    select *, row_number() over (partition by invitation_id order by seq desc) as age
    from parsed
    where kind in ('followup_opened', 'followup_assigned')

),

moves as (

    select *, row_number() over (partition by invitation_id order by seq desc) as age
    from parsed
    where step is not null

),

totals as (

    select
        invitation_id,
        min(case when kind = 'first_contact' then occurred_at end) as first_contact_at,
        {{ count_where("kind = 'followup_reopened'") }} as reopened
    from parsed
    group by invitation_id

),

followups as (

    select
        opened.invitation_id,

        hand_overs.assignee_id,
        hand_overs.assignment_rule,
        opened.sla_hours,

        opened.occurred_at as opened_at,
        opened.acknowledge_due_at,
        opened.due_at,
        totals.first_contact_at,

        coalesce(moves.step, 'open') as step,
        totals.reopened,
        moves.outcome,
        case when moves.step = 'closed' then moves.occurred_at end as closed_at
    from opened
    inner join totals on totals.invitation_id = opened.invitation_id
    inner join hand_overs on hand_overs.invitation_id = opened.invitation_id and hand_overs.age = 1
    left join moves on moves.invitation_id = opened.invitation_id and moves.age = 1
    where opened.age = 1

)

select * from followups
