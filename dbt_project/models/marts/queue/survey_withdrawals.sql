with invitations as (

    select * from {{ ref('int_open_invitations') }}

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

rules as (

    select
        invitations.*,
        {{ fails_about_the_person('invitations') }}
    from invitations
    {{ join_lists_of_the_person('invitations') }}

),

judged as (

    select
        invitation_id,

        contact_id,
        survey_id,

        delivery_state,
        {{ deciding_rule(rules_about_the_person()) }} as deciding_rule,
        {{ failed_rules(rules_about_the_person()) }} as all_failed_rules
    from rules

),

withdrawals as (

    select * from judged where deciding_rule <> 'passed'

)

select * from withdrawals
