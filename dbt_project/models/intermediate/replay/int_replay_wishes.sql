-- Candidates of a replay whose person wanted one mail in so many days at most on some day on which they are looked at:
-- an ask after `quiet_after`, up to `quiet_until`, stands against them, by whichever survey. A wish counts on the whole
-- of each day on which it stood. (Two wishes within one wait count as one, as long as the days that they ask for.)
with candidates as (

    select * from {{ ref('int_replay_candidates') }}

),

people as (

    select * from {{ ref('int_people') }}

),

wishes as (

    select
        person_key,
        at_most_every_days,
        ends_at,
        cast(begins_at as date) as begins_on
    from {{ ref('int_wish_periods') }}
    where survey_id = 'all'
        and at_most_every_days > 1

),

looked_at as (

    select
        candidates.candidate_id,
        wishes.at_most_every_days,
        greatest(candidates.due_on, wishes.begins_on) as first_on,
        case
            when wishes.ends_at > {{ add_days('cast(candidates.last_on as timestamp)', '1') }} then candidates.last_on
            -- Who changed it at midnight had another one on that day.
            when wishes.ends_at = cast(cast(wishes.ends_at as date) as timestamp)
                then {{ date_plus('wishes.ends_at', '-1') }}
            else cast(wishes.ends_at as date)
        end as last_on
    from candidates
    inner join people on people.contact_id = candidates.contact_id
    inner join wishes
        on wishes.person_key = people.person_key
        and wishes.begins_on <= candidates.last_on
        and wishes.ends_at > cast(candidates.due_on as timestamp)

),

quiet as (

    select
        candidate_id,
        min({{ date_plus('first_on', '-at_most_every_days') }}) as quiet_after,
        max(last_on) as quiet_until
    from looked_at
    group by candidate_id

)

select * from quiet
