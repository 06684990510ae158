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

        facts.is_gone as fails_contact_gone,
        {{ is_no_address('facts.email') }} as fails_no_address,
        excluded_contact.subject_id is not null or excluded_account.subject_id is not null as fails_excluded,
        opt_outs.person_key is not null as fails_opted_out,
        suppressions.person_key is not null as fails_suppressed,
        filtered.survey_id is not null and audience.contact_id is null as fails_audience,
        coalesce(waiting.has_sample, false) and sampled.candidate_id is null as fails_not_sampled,
        facts.as_of > facts.expires_at as fails_expired,
        coalesce(
            {{ days_between('facts.last_asked_at', 'facts.as_of') }} < facts.cooldown_days, false
        ) as fails_cooldown,
        coalesce(
            {{ days_between('facts.last_answered_at', 'facts.as_of') }} < facts.skip_after_response_days, false
        ) as fails_recent_response,

        coalesce(cast(facts.as_of as date) < waiting.slot_on, false) as waits_wave_slot,
        coalesce(waiting.is_closed, false) as waits_business_hours
    from facts
    left join exclusions as excluded_contact
        on excluded_contact.subject = 'contact'
        and excluded_contact.subject_id = facts.contact_id
    left join exclusions as excluded_account
        on excluded_account.subject = 'account'
        and excluded_account.subject_id = facts.asked_account_id
    left join opt_outs on opt_outs.person_key = facts.person_key
    left join suppressions on suppressions.person_key = facts.person_key
    left join filtered on filtered.survey_id = facts.survey_id
    left join audience
        on audience.survey_id = facts.survey_id
        and audience.contact_id = facts.contact_id
        and audience.account_id = coalesce(facts.asked_account_id, '')
    left join sampled on sampled.candidate_id = facts.candidate_id
    left join waiting on waiting.candidate_id = facts.candidate_id

)

select * from rules
