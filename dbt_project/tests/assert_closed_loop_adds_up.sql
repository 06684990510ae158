-- Within a period the owners, teams and tiers of rpt_closed_loop add up to the whole: also accounts and their money, of
-- which each counts once.
with reports as (

    select *, coalesce(period_start, date '1900-01-01') as starts_on from {{ ref('rpt_closed_loop') }}

),

wholes as (

    select * from reports where segment = 'all'

),

parts as (

    select
        segment,
        period_grain,
        starts_on,
        cast(sum(to_follow_up) as bigint) as to_follow_up,
        cast(sum(converted) as bigint) as converted,
        cast(sum(accounts_at_risk) as bigint) as accounts_at_risk,
        cast(sum(accounts_kept) as bigint) as accounts_kept,
        cast(sum(money_at_risk) as double) as money_at_risk,
        cast(sum(money_kept) as double) as money_kept
    from reports
    group by segment, period_grain, starts_on

),

wrong as (

    select parts.*
    from parts
    inner join wholes on wholes.period_grain = parts.period_grain and wholes.starts_on = parts.starts_on
    where parts.to_follow_up <> wholes.to_follow_up
        or parts.converted <> wholes.converted
        or parts.accounts_at_risk <> wholes.accounts_at_risk
        or parts.accounts_kept <> wholes.accounts_kept
        or abs(parts.money_at_risk - wholes.money_at_risk) > 0.5
        or abs(parts.money_kept - wholes.money_kept) > 0.5

)

select * from wrong
