-- Which answers count: human ones go before provisional ones, and the last score within 24 hours counts.
with confirmations as (

    select * from {{ ref('int_answer_confirmations') }}

),

eligible as (

    -- A provisional answer never stands against a human one.
    select
        *,
        is_confirmed and (
            judged = 'human'
            or max(case when judged = 'human' then 1 else 0 end) over (partition by invitation_id) = 0
        ) as is_eligible
    from confirmations

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
