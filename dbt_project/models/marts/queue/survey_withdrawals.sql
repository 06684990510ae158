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

    select * from {{ ref('int_open_audience') }}

),

filter_terms as (

    select * from {{ ref('int_filter_terms') }}

),

known_fields as (

    select distinct subject, field from {{ ref('int_filter_values') }}

),

filtered as (

    -- A filter over a field that no export ever brought lets nobody in. It may be a slip of the pen, and takes nothing
    -- back.
    select filter_terms.survey_id
    from filter_terms
    left join known_fields on known_fields.subject = filter_terms.subject and known_fields.field = filter_terms.field
    group by filter_terms.survey_id
    having min(case when known_fields.field is null then 0 else 1 end) = 1

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
