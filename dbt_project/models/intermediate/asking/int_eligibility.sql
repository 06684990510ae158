-- The proposal for each candidate: ask, defer, or skip with the rule that decides and all that speak against.
with candidates as (

    select * from {{ ref('int_candidate_places') }}

),

decided as (

    select
        candidate_id,

        contact_id,
        asked_account_id as account_id,
        person_key,
        survey_id,
        wave_id,

        trigger_event,
        trigger_record_id,
        due_at,
        expires_at,

        case
            when not passes_alone or fails_account_cap or fails_one_per_wave then 'skip'
            when may_be_asked then 'ask'
            else 'defer'
        end as decision,
        {{ deciding_rule() }} as deciding_rule,
        {{ failed_rules() }} as all_failed_rules,
        {{ decision_facts() }} as facts,
        as_of as decided_as_of,

        priority,
        definition_hash
    from candidates

)

select * from decided
