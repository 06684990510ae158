-- Which posted answers are a person's. Provisional ones (no real input was seen) are confirmed by what the mail's
-- links and the page tell. Can be re-run over all raw hits with other settings (vars confirm_*).
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

)

select * from confirmed
