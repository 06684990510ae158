-- For each day of a replay, on which day each survey with business hours may next be sent: a calendar, no time of day.
with waits as (

    select * from {{ ref('int_survey_waits') }} where opens is not null

),

period as (

    select
        min(starts_on) as starts_on,
        max(ends_on) as ends_on
    from {{ ref('stg_replay__period') }}

),

numbers as (

    select * from {{ ref('int_numbers') }}

),

days as (

    -- Some weeks more than the period: what waits over its end has a day, too.
    select {{ date_plus('period.starts_on', 'thousands.n * 1000 + numbers.n') }} as day_on
    from period
    inner join numbers as thousands
        on thousands.n <= ({{ days_between('period.starts_on', 'period.ends_on') }} + 120) / 1000
    inner join numbers
        on thousands.n * 1000 + numbers.n <= {{ days_between('period.starts_on', 'period.ends_on') }} + 120

),

flagged as (

    select
        waits.survey_id,
        days.day_on,
        {{ is_closed_day('days.day_on', 'waits.open_weekdays', 'waits.holidays') }} as is_closed
    from waits
    cross join days

),

open_days as (

    select
        survey_id,
        day_on,
        min(case when not is_closed then day_on end) over (
            partition by survey_id
            order by day_on
            rows between current row and unbounded following
        ) as next_open_on
    from flagged

)

select * from open_days
