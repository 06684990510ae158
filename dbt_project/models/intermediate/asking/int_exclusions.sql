-- Contacts and accounts that are on the exclusion list now.
with periods as (

    select * from {{ ref('int_exclusion_periods') }}

),

context as (

    select * from {{ ref('build_context') }}

),

newest as (

    -- The last entry says what is true; one that a later entry replaced has ended.
    select
        periods.*,
        row_number() over (partition by periods.subject, periods.subject_id order by periods.seq desc) as age
    from periods
    cross join context
    where periods.ends_at > context.as_of

),

active as (

    select
        subject,
        subject_id,
        reason,
        begins_at as excluded_since,
        ends_at as excluded_until
    from newest
    where age = 1

)

select * from active
