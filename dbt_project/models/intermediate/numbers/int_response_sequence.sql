-- Each response between those before and after it. Imported answers are links of the chain too, but not those outside
-- the headline: their scale is in doubt.
with responses as (

    select * from {{ ref('int_responses') }} where in_headline or not is_imported

),

sequenced as (

    select
        response_id,
        survey_id,
        survey_type,
        contact_id,
        account_id,

        score,
        category,
        submitted_at,

        owner_id_at_response,
        team_at_response,
        tier,
        contract_value,

        -- Of the same contact and survey type.
        lag(response_id) over of_type as previous_response_id,
        lag(survey_id) over of_type as previous_survey_id,
        lag(score) over of_type as previous_score,
        lag(category) over of_type as previous_category,
        lag(submitted_at) over of_type as previous_submitted_at,
        lead(category) over of_type as next_category,

        -- Of the same contact, and of anyone at the account, to any survey.
        lag(category) over of_contact as previous_category_of_any_survey,
        lead(submitted_at) over of_account as next_submitted_at_of_account
    from responses
    window
        of_type as (partition by contact_id, survey_type order by submitted_at, response_id),
        of_contact as (partition by contact_id order by submitted_at, response_id),
        of_account as (partition by account_id order by submitted_at, response_id)

)

select * from sequenced
