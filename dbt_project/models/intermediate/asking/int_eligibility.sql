-- The proposal for each candidate: ask, or skip with the rule that decides and all that speak against.
with rules as (

    select * from {{ ref('int_candidate_rules') }}

),

sealed as (

    select * from {{ ref('int_sealed_decisions') }}

),

asked_before as (

    -- A wave is a survey's day: an earlier evaluation of that day may have asked the contact (with a cooldown of 0).
    select distinct
        wave_id,
        contact_id
    from sealed
    where decision = 'ask'

),

screened as (

    select
        rules.*,
        asked_before.contact_id is not null as is_in_wave,
        asked_before.contact_id is null and not (
            {%- for rule in eligibility_rules() if rule != 'one_per_wave' %}
            fails_{{ rule }}{{ ' or' if not loop.last }}
            {%- endfor %}
        ) as passes_alone
    from rules
    left join asked_before
        on asked_before.wave_id = rules.wave_id
        and asked_before.contact_id = rules.contact_id

),

ranked as (

    -- One person gets one mail in an evaluation: the survey of the lowest priority number, then what was due first.
    select
        *,
        row_number() over (
            partition by person_key, passes_alone
            order by priority, due_at, candidate_id
        ) as place
    from screened

),

judged as (

    select
        *,
        is_in_wave or (passes_alone and place > 1) as fails_one_per_wave
    from ranked

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

        case when passes_alone and place = 1 then 'ask' else 'skip' end as decision,
        {{ deciding_rule() }} as deciding_rule,
        {{ failed_rules() }} as all_failed_rules,
        as_of as decided_as_of,

        priority,
        definition_hash
    from judged

)

select * from decided
