-- The candidates of a replay as persons, with the account that each is asked about, and whether it is on the exclusion
-- list, or its address is suppressed, on one of the days on which it is looked at.
{{ config(materialized='view') }}

with candidates as (

    select * from {{ ref('int_replay_candidates') }}

),

people as (

    select * from {{ ref('int_people') }}

),

exclusions as (

    select * from {{ ref('int_exclusion_periods') }}

),

suppressions as (

    select * from {{ ref('int_suppression_periods') }}

),

asked as (

    select
        candidates.*,
        people.person_key,
        {{ is_no_address('people.email') }} as is_no_address,
        coalesce(people.person_key, 'contact:' || candidates.contact_id) as person,
        coalesce(candidates.account_id, people.account_id) as asked_account_id,
        people.contact_id is null or people.is_deleted as is_gone
    from candidates
    left join people on people.contact_id = candidates.contact_id

),

excluded as (

    {% for subject, key in [('contact', 'contact_id'), ('account', 'asked_account_id')] %}
    select asked.candidate_id
    from asked
    inner join exclusions
        on exclusions.subject = '{{ subject }}'
        and exclusions.subject_id = asked.{{ key }}
        and cast(exclusions.begins_at as date) <= asked.last_on
        and exclusions.ends_at > cast(asked.due_on as timestamp)
    {{ 'union' if not loop.last }}
    {% endfor %}

),

suppressed as (

    select distinct asked.candidate_id
    from asked
    inner join suppressions
        on suppressions.person_key = asked.person_key
        and coalesce(suppressions.survey_id, asked.survey_id) = asked.survey_id
        and cast(suppressions.begins_at as date) <= asked.last_on
        and suppressions.ends_at > cast(asked.due_on as timestamp)

),

asked_people as (

    select
        asked.*,
        excluded.candidate_id is not null as is_excluded,
        suppressed.candidate_id is not null as is_suppressed
    from asked
    left join excluded on excluded.candidate_id = asked.candidate_id
    left join suppressed on suppressed.candidate_id = asked.candidate_id

)

select * from asked_people
