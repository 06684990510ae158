-- One column per rule about who: true where it speaks against asking. The last rule, one per person and evaluation,
-- is applied to what these let through, in int_eligibility.
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

    select * from {{ ref('int_survey_audience') }}

),

restricted as (

    select
        survey_id,
        max(case when filter = 'contact_roles' then 1 else 0 end) as by_role,
        max(case when filter = 'account_tiers' then 1 else 0 end) as by_tier
    from audience
    group by survey_id

),

rules as (

    select
        facts.*,

        facts.is_gone as fails_contact_gone,
        coalesce(facts.email, '') not like '%_@_%' or facts.email like '% %' or facts.email like '%@%@%'
            as fails_no_address,
        excluded_contact.subject_id is not null or excluded_account.subject_id is not null as fails_excluded,
        opt_outs.person_key is not null as fails_opted_out,
        suppressions.person_key is not null as fails_suppressed,
        (coalesce(restricted.by_role, 0) = 1 and allowed_role.allowed_value is null)
        or (coalesce(restricted.by_tier, 0) = 1 and allowed_tier.allowed_value is null) as fails_audience,
        facts.as_of > facts.expires_at as fails_expired,
        coalesce(
            {{ days_between('facts.last_asked_at', 'facts.as_of') }} < facts.cooldown_days, false
        ) as fails_cooldown,
        coalesce(
            {{ days_between('facts.last_answered_at', 'facts.as_of') }} < facts.skip_after_response_days, false
        ) as fails_recent_response
    from facts
    left join exclusions as excluded_contact
        on excluded_contact.subject = 'contact'
        and excluded_contact.subject_id = facts.contact_id
    left join exclusions as excluded_account
        on excluded_account.subject = 'account'
        and excluded_account.subject_id = facts.asked_account_id
    left join opt_outs on opt_outs.person_key = facts.person_key
    left join suppressions on suppressions.person_key = facts.person_key
    left join restricted on restricted.survey_id = facts.survey_id
    left join audience as allowed_role
        on allowed_role.survey_id = facts.survey_id
        and allowed_role.filter = 'contact_roles'
        and allowed_role.allowed_value = facts.role
    left join audience as allowed_tier
        on allowed_tier.survey_id = facts.survey_id
        and allowed_tier.filter = 'account_tiers'
        and allowed_tier.allowed_value = facts.tier

)

select * from rules
