-- Imported rows with what the CRM and the programmes know of them: contact, account, survey. Rows without a score were
-- invited and did not answer.
with imported as (

    select * from {{ ref('stg_responses__imported') }}

),

contacts as (

    select * from {{ ref('stg_crm__contact') }}

),

surveys as (

    select * from {{ ref('int_survey_definitions') }}

),

known_addresses as (

    select * from {{ ref('int_known_addresses') }}

),

survey_of_name as (

    select
        lower(survey_name) as survey_name,
        min(survey_id) as survey_id
    from surveys
    group by lower(survey_name)

),

placed as (

    select
        imported.*,
        coalesce(
            imported.contact_id,
            known_addresses.contact_id,
            'address:' || imported.person_key,
            imported.response_id
        ) as placed_contact_id,
        coalesce(own_survey.survey_id, survey_of_name.survey_id, imported.survey, 'unnamed') as survey_id
    from imported
    left join known_addresses
        on known_addresses.person_key = imported.person_key
    left join surveys as own_survey on own_survey.survey_id = imported.survey
    left join survey_of_name on survey_of_name.survey_name = lower(imported.survey)

),

resolved as (

    select
        placed.response_id,

        placed.survey_id,
        coalesce(placed.survey_type, surveys.survey_type, 'relationship') as survey_type,
        coalesce(surveys.in_headline, true) as in_headline,

        placed.placed_contact_id as contact_id,
        coalesce(placed.person_key, contacts.person_key) as person_key,
        coalesce(placed.account_id, contacts.account_id) as account_id,

        placed.score,
        placed.scale,
        placed.comment,
        placed.channel,
        placed.attributes,

        placed.contacted_at,
        placed.submitted_at
    from placed
    left join contacts on contacts.contact_id = placed.placed_contact_id
    left join surveys on surveys.survey_id = placed.survey_id

)

select * from resolved
