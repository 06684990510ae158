-- Which answers count. Provisional ones (no real input was seen) are confirmed by what the mail's links tell; of the
-- confirmed ones the last within 24 hours counts. Re-run over all raw hits with other settings at will.
with versions as (

    select * from {{ ref('int_answer_versions') }}

),

invitations as (

    select * from {{ ref('int_invitations') }}

),

hits as (

    select * from {{ ref('int_hits') }}

),

voided as (

    select distinct invitation_id from {{ ref('stg_ledger__events') }} where kind = 'voided'

),

confirmed as (

    select
        versions.*,
        voided.invitation_id is not null as is_voided,
        versions.judged = 'human'
        or (
            coalesce(hits.distinct_score_links, 0) = 1
            and coalesce(hits.hidden_link_hits, 0) = 0
            and versions.visible_ms >= {{ var('confirm_min_visible_ms') }}
            and coalesce({{ seconds_between(
                'coalesce(invitations.delivered_at, invitations.sent_at, invitations.planned_at)',
                'versions.occurred_at'
            ) }} >= {{ var('confirm_min_seconds') }}, false)
        ) as is_confirmed
    from versions
    inner join invitations on invitations.invitation_id = versions.invitation_id
    left join hits on hits.invitation_id = versions.invitation_id
    left join voided on voided.invitation_id = versions.invitation_id

),

timed as (

    select
        *,
        min(case when is_confirmed then occurred_at end) over (partition by invitation_id) as first_confirmed_at
    from confirmed

),

in_time as (

    select
        *,
        is_confirmed and {{ seconds_between('first_confirmed_at', 'occurred_at') }}
            <= {{ var('change_of_mind_hours') }} * 3600 as is_in_time
    from timed

),

ranked as (

    select
        *,
        row_number() over (partition by invitation_id, is_in_time order by seq desc) as age
    from in_time

),

judged as (

    select
        *,
        case
            when is_voided then 'voided'
            when not is_confirmed then 'provisional_not_confirmed'
            when not is_in_time then 'too_late'
            when age > 1 then 'superseded'
            else 'counted'
        end as verdict
    from ranked

)

select * from judged
