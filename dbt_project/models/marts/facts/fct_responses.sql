with responses as (

    select * from {{ ref('int_responses') }}

),

facts as (

    select
        response_id,
        invitation_id,
        survey_id,
        survey_type,
        contact_id,
        account_id,
        person_key,

        score,
        category,
        comment,
        answers,
        attributes,

        channel,
        trigger_event,
        trigger_record_id,

        submitted_at,
        hours_to_response,

        owner_id_at_response,
        owner_id_current,
        csm_id_at_response,
        team_at_response,
        tier,
        industry,
        segment,
        region,
        plan,

        is_imported,
        in_headline
    from responses

)

select * from facts
