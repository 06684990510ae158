-- Who is drawn for a survey that asks a sample: of each stratum of an audience that is due on one date, those first in
-- an order that stands on seed and contact alone, so the same people are drawn whenever it is looked at.
with due as (

    select * from {{ ref('int_sample_due') }}

),

waits as (

    select * from {{ ref('int_survey_waits') }} where sample_by is not null

),

needs as (

    select * from {{ ref('int_sample_needs') }}

),

field_values as (

    select * from {{ ref('int_filter_values') }}

),

people as (

    select * from {{ ref('int_people') }}

),

audience as (

    select * from {{ ref('int_sample_audience') }}

),

filtered as (

    select distinct survey_id from {{ ref('int_filter_terms') }}

),

resting as (

    select * from {{ ref('int_sample_rest') }}

),

reachable as (

    -- Whoever the filter leaves out, mail cannot reach, or is at rest takes nobody's place.
    select
        due.candidate_id,
        due.survey_id,
        due.contact_id,
        due.occurred_on,
        waits.sample_seed,
        coalesce(field_values.value, '(none)') as stratum
    from due
    inner join waits on waits.survey_id = due.survey_id
    inner join people on people.contact_id = due.contact_id
    left join filtered on filtered.survey_id = due.survey_id
    left join audience
        on audience.survey_id = due.survey_id
        and audience.contact_id = due.contact_id
        and audience.account_id = coalesce(due.account_id, people.account_id, '')
    left join field_values
        on field_values.subject || '.' || field_values.field = waits.sample_by
        and field_values.subject_id = case
            when waits.sample_by like 'contact.%' then due.contact_id
            else coalesce(due.account_id, people.account_id)
        end
    where not people.is_deleted
        and not {{ is_no_address('people.email') }}
        and (filtered.survey_id is null or audience.contact_id is not null)
        and not exists (
            select 1 from resting where resting.candidate_id = due.candidate_id
        )

),

ordered as (

    select
        candidate_id,
        survey_id,
        stratum,
        row_number() over (
            partition by survey_id, occurred_on, stratum
            order by md5(sample_seed || '|' || survey_id || '|' || contact_id), candidate_id
        ) as place
    from reachable

),

draws as (

    select
        ordered.candidate_id,
        ordered.survey_id,
        ordered.stratum
    from ordered
    inner join needs on needs.survey_id = ordered.survey_id and needs.stratum = ordered.stratum
    where ordered.place <= needs.asks_needed

)

select * from draws
