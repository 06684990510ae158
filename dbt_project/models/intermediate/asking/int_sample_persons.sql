-- Who is due for a survey that asks a sample, as persons, each with how often at most they wanted a mail at that date.
{{ config(materialized='view') }}

with due as (

    select * from {{ ref('int_sample_due') }}

),

people as (

    select * from {{ ref('int_people') }}

),

wishes as (

    select * from {{ ref('int_wish_periods') }} where survey_id = 'all'

),

persons as (

    select
        due.candidate_id,
        due.survey_id,
        due.due_at,
        due.contact_id,
        coalesce(due.account_id, people.account_id) as account_id,
        people.person_key,
        due.cooldown_days,
        due.skip_after_response_days,
        {{ counted_over('due') }} as counted_over,
        wishes.at_most_every_days as wished_days
    from due
    left join people on people.contact_id = due.contact_id
    left join wishes
        on wishes.person_key = people.person_key
        and wishes.begins_at < due.due_at
        and wishes.ends_at >= due.due_at

)

select * from persons
