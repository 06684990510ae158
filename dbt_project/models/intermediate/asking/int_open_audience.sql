-- Of each survey that has a filter: whom it lets in still of those who are planned already.
with invitations as (

    select
        survey_id,
        contact_id,
        asked_account_id as account_id
    from {{ ref('int_open_invitations') }}

),

people as (

    select * from {{ ref('int_people') }}

),

terms as (

    select * from {{ ref('int_filter_terms') }}

),

field_values as (

    select * from {{ ref('int_filter_values') }}

),

audience as (

    {{ audience_of('invitations') }}

)

select * from audience
