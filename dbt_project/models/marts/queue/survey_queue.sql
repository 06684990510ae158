with eligibility as (

    select * from {{ ref('int_eligibility') }}

),

queue as (

    select
        candidate_id,

        contact_id,
        account_id,
        person_key,
        survey_id,
        wave_id,

        trigger_event,
        trigger_record_id,
        due_at,
        expires_at,

        decision,
        deciding_rule,
        all_failed_rules,
        facts,
        decided_as_of,

        priority,
        definition_hash
    from eligibility

)

select * from queue
