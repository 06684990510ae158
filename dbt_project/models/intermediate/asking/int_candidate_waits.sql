-- What makes a candidate wait: the day of its slot in a spread wave, and whether it is outside business hours where
-- the recipient is. Only candidates of surveys that have such rules.
with candidates as (

    select * from {{ ref('int_candidates') }}

),

waits as (

    select * from {{ ref('int_survey_waits') }}
    where coalesce(spread_days, cap_days) is not null or sample_by is not null or opens is not null

),

people as (

    select * from {{ ref('int_people') }}

),

placed as (

    select
        candidates.candidate_id,
        candidates.due_at,
        waits.*,
        {{ to_local('candidates.as_of', "coalesce(people.known_zone, waits.fallback_zone, 'UTC')") }} as local_at
    from candidates
    inner join waits on waits.survey_id = candidates.survey_id
    left join people on people.contact_id = candidates.contact_id

),

waiting as (

    select
        candidate_id,
        sample_by is not null as has_sample,
        cap_invitations,
        cap_days,
        {{ date_plus('due_at', wave_slot('candidate_id', 'spread_days')) }} as slot_on,
        case when opens is not null then local_at end as local_at,
        opens is not null and (
            {{ time_of_day('local_at') }} < opens
            or {{ time_of_day('local_at') }} >= closes
            or {{ is_closed_day('cast(local_at as date)', 'open_weekdays', 'holidays') }}
        ) as is_closed
    from placed

)

select * from waiting
