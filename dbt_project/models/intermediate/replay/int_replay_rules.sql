-- The rules that need no replay: lists, filters and what really happened, each as of the candidate's own days. Records
-- and opt-outs are as the CRM has them today.
with asked as (

    select * from {{ ref('int_replay_people') }}

),

accounts as (

    select * from {{ ref('stg_crm__account') }}

),

blocks as (

    select * from {{ ref('int_replay_blocks') }}

),

opt_outs as (

    select * from {{ ref('int_opt_outs') }}

),

audience as (

    select * from {{ ref('int_replay_audience') }}

),

filtered as (

    select distinct survey_id from {{ ref('int_filter_terms') }}

),

sampled as (

    select distinct candidate_id from {{ ref('int_sample_draws') }}

),

rules as (

    select
        asked.*,
        {{ counted_over('asked') }} as counted_over,
        blocks.blocked_by,

        asked.is_gone or coalesce(accounts.is_deleted, false) as fails_contact_gone,
        asked.is_no_address as fails_no_address,
        asked.is_excluded as fails_excluded,
        opt_outs.person_key is not null as fails_opted_out,
        asked.is_suppressed as fails_suppressed,
        filtered.survey_id is not null and audience.contact_id is null as fails_audience,
        asked.sample_by is not null and sampled.candidate_id is null as fails_not_sampled,
        greatest(
            cast(asked.last_on as timestamp),
            case when asked.is_plan and asked.last_on = asked.starts_on then asked.as_of else asked.due_at end
        ) > asked.expires_at as fails_expired,
        coalesce(blocks.fails_cooldown, false) as fails_cooldown,
        coalesce(blocks.fails_recent_response, false) as fails_recent_response
    from asked
    left join accounts on accounts.account_id = asked.asked_account_id
    left join opt_outs on opt_outs.person_key = asked.person_key
    left join filtered on filtered.survey_id = asked.survey_id
    left join audience
        on audience.survey_id = asked.survey_id
        and audience.contact_id = asked.contact_id
        and audience.account_id = coalesce(asked.asked_account_id, '')
    left join sampled on sampled.candidate_id = asked.candidate_id
    left join blocks on blocks.candidate_id = asked.candidate_id

)

select * from rules
