-- Of each survey that has a filter: whom it lets in, by contact and the account that the contact is asked about.
with candidates as (

    select survey_id, contact_id, account_id from {{ ref('int_candidates') }}
    union
    select survey_id, contact_id, account_id from {{ ref('int_replay_candidates') }}
    union
    -- Who is planned already must be let in still.
    select survey_id, contact_id, asked_account_id from {{ ref('int_open_invitations') }}
    union
    -- A sample is drawn of all who are due, decided or not.
    select survey_id, contact_id, account_id from {{ ref('int_due') }}
    where survey_id in (select survey_id from {{ ref('int_survey_waits') }} where sample_by is not null)

),

people as (

    select * from {{ ref('int_people') }}

),

terms as (

    select * from {{ ref('int_filter_terms') }}

),

field_values as (

    select * from {{ ref('int_filter_values') }}

),

known_fields as (

    select distinct subject, field from field_values

),

asked as (

    select distinct
        candidates.survey_id,
        candidates.contact_id,
        coalesce(candidates.account_id, people.account_id, '') as account_id
    from candidates
    left join people on people.contact_id = candidates.contact_id

),

compared as (

    select
        asked.survey_id, asked.contact_id, asked.account_id,
        terms.clause, terms.condition, terms.is_negated,
        known_fields.field is not null as is_known,
        case
            when terms.operator = 'empty' then field_values.value is null
            else coalesce({{ compare('field_values.value', 'terms.operator', 'terms.kind', 'terms.value') }}, false)
        end as is_match
    from asked
    inner join terms on terms.survey_id = asked.survey_id
    left join known_fields on known_fields.subject = terms.subject and known_fields.field = terms.field
    left join field_values
        on field_values.subject = terms.subject
        and field_values.field = terms.field
        and field_values.subject_id = case terms.subject
            when 'contact' then asked.contact_id
            else asked.account_id
        end

),

conditions as (

    -- A field that nobody knows holds for nobody, turned round or not.
    select
        survey_id, contact_id, account_id, clause, condition,
        max(case when is_match then 1 else 0 end) <> max(case when is_negated then 1 else 0 end)
        and min(case when is_known then 1 else 0 end) = 1 as holds
    from compared
    group by survey_id, contact_id, account_id, clause, condition

),

clauses as (

    select
        survey_id, contact_id, account_id, clause,
        min(case when holds then 1 else 0 end) as holds
    from conditions
    group by survey_id, contact_id, account_id, clause

),

audience as (

    select
        survey_id, contact_id, account_id
    from clauses
    group by survey_id, contact_id, account_id
    having max(holds) = 1

)

select * from audience
