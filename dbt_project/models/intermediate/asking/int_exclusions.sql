-- Contacts and accounts that are on the exclusion list now.
with list_events as (

    select * from {{ ref('int_list_events') }} where kind in ('excluded', 'exclusion_removed')

),

context as (

    select * from {{ ref('build_context') }}

),

newest as (

    select
        *,
        row_number() over (partition by subject, subject_id order by seq desc) as age
    from list_events

),

active as (

    select
        newest.subject,
        newest.subject_id,
        newest.reason,
        newest.occurred_at as excluded_since,
        newest.excluded_until
    from newest
    cross join context
    where newest.age = 1
        and newest.kind = 'excluded'
        and coalesce(newest.excluded_until, {{ far_future() }}) > context.as_of

)

select * from active
