-- One column per rule that looks at a candidate alone: true where it speaks against asking (fails_), or against asking
-- now (waits_). The rules that weigh candidates against each other are applied in int_eligibility.
with facts as (

    select * from {{ ref('int_candidate_facts') }}

),

exclusions as (

    select * from {{ ref('int_exclusions') }}

),

opt_outs as (

    select * from {{ ref('int_opt_outs') }}

),

suppressions as (

    select * from {{ ref('int_suppressions') }}

),

audience as (

    select * from {{ ref('int_audience') }}

),

filtered as (

    select distinct survey_id from {{ ref('int_filter_terms') }}

),

sampled as (

    select distinct candidate_id from {{ ref('int_sample_draws') }}

),

waiting as (

    select * from {{ ref('int_candidate_waits') }}

),

rules as (

    select
        facts.*,
        waiting.slot_on,
        waiting.local_at,
        waiting.has_sample,
        waiting.cap_invitations,
        waiting.cap_days,
        coalesce(excluded_contact.reason, excluded_account.reason) as exclusion_reason,
        suppressions.reason as suppression_reason,

        {{ fails_about_the_person('facts') }},
        coalesce(waiting.has_sample, false) and sampled.candidate_id is null as fails_not_sampled,
        facts.as_of > facts.expires_at as fails_expired,
        coalesce({{ days_between('facts.last_asked_at', 'facts.as_of') }} < facts.cooldown_days, false)
        -- Who chose to be asked less often: by any survey.
        or coalesce({{ days_between('facts.last_asked_by_any_at', 'facts.as_of') }} < facts.wished_days, false)
            as fails_cooldown,
        coalesce(
            {{ days_between('facts.last_answered_at', 'facts.as_of') }} < facts.skip_after_response_days, false
        ) as fails_recent_response,

        coalesce(cast(facts.as_of as date) < waiting.slot_on, false) as waits_wave_slot,
        coalesce(waiting.is_closed, false) as waits_business_hours
    from facts
    {{ join_lists_of_the_person('facts') }}
    left join sampled on sampled.candidate_id = facts.candidate_id
    left join waiting on waiting.candidate_id = facts.candidate_id

)

select * from rules
