-- From when to when each contact and account was on the exclusion list.
with list_events as (

    select * from {{ ref('int_list_events') }} where kind in ('excluded', 'exclusion_removed')

),

entries as (

    select
        *,
        lead(occurred_at) over (partition by subject, subject_id order by seq) as next_at
    from list_events

),

periods as (

    select
        subject,
        subject_id,
        seq,
        reason,
        occurred_at as begins_at,
        least(coalesce(excluded_until, {{ far_future() }}), coalesce(next_at, {{ far_future() }})) as ends_at
    from entries
    where kind = 'excluded'

)

select * from periods
