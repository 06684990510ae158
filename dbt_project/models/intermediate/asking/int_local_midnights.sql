-- When each day begins where some contact is, in UTC: over the days that matter to a trigger, and the delays after
-- them.
with kinds as (

    select * from {{ ref('int_trigger_kinds') }}

),

zones as (

    select distinct coalesce(known_zone, 'UTC') as time_zone from {{ ref('int_people') }}

),

numbers as (

    select * from {{ ref('int_numbers') }}

),

span as (

    select
        {{ date_plus('min(cast(occurs_from as date))', -1) }} as first_day,
        {{ date_plus('max(cast(occurs_to as date))', 1) }} as last_day
    from kinds

),

days as (

    select {{ date_plus('span.first_day', 'thousands.n * 1000 + numbers.n') }} as day_on
    from span
    inner join numbers as thousands on thousands.n <= {{ days_between('span.first_day', 'span.last_day') }} / 1000
    inner join numbers
        on thousands.n * 1000 + numbers.n <= {{ days_between('span.first_day', 'span.last_day') }}

),

midnights as (

    select
        zones.time_zone,
        days.day_on,
        {{ from_local('cast(days.day_on as timestamp)', 'zones.time_zone') }} as begins_at
    from zones
    cross join days

)

select * from midnights
