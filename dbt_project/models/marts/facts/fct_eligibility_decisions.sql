with sealed as (

    select * from {{ ref('int_sealed_decisions') }}

),

decisions as (

    select
        candidate_id,
        evaluation_id,

        contact_id,
        account_id,
        person_key,
        survey_id,
        wave_id,

        trigger_event,
        trigger_record_id,
        due_at,

        decision,
        deciding_rule,
        all_failed_rules,
        facts,
        decided_as_of,
        sealed_at
    from sealed

)

select * from decisions
