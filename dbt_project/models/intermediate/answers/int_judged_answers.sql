-- Which answers count. Provisional ones (no real input was seen) are confirmed by what the mail's links tell; human
-- ones go before them, and the last within 24 hours counts. Can be re-run over all raw hits with other settings.
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

eligible as (

    -- A provisional answer never stands against a human one.
    select
        *,
        is_confirmed and (
            judged = 'human'
            or max(case when judged = 'human' then 1 else 0 end) over (partition by invitation_id) = 0
        ) as is_eligible
    from confirmed

),

timed as (

    select
        *,
        min(case when is_confirmed then occurred_at end) over (partition by invitation_id) as responded_at,
        min(case when is_eligible then occurred_at end) over (partition by invitation_id) as first_eligible_at
    from eligible

),

in_time as (

    select
        *,
        is_eligible and {{ seconds_between('first_eligible_at', 'occurred_at') }}
            <= {{ var('change_of_mind_hours') }} * 3600 as is_in_time
    from timed

),

standing as (

    -- The score that stands; a later comment to the same score still belongs to it.
    select
        *,
        first_value(score) over (
            partition by invitation_id
            order by case when is_in_time then 0 else 1 end, seq desc
        ) as standing_score
    from in_time

),

ranked as (

    select
        *,
        is_in_time or (is_eligible and score = standing_score) as may_count,
        row_number() over (
            partition by invitation_id, is_in_time or (is_eligible and score = standing_score)
            order by seq desc
        ) as age
    from standing

),

judged as (

    select
        *,
        case
            when is_voided then 'voided'
            when not is_confirmed then 'provisional_not_confirmed'
            when may_count and age = 1 then 'counted'
            when is_eligible and not may_count then 'too_late'
            else 'superseded'
        end as verdict
    from ranked

)

select * from judged
