-- Contacts that invitations, visits or imported answers name and the CRM doesn't know.
with imported as (

    select * from {{ ref('int_imported_answers') }}

),

answerers as (

    select * from {{ ref('int_answerers') }}

),

contacts as (

    select * from {{ ref('int_people') }}

),

named as (

    select contact_id, account_id, person_key, contacted_at as seen_at from imported
    union all
    select contact_id, account_id, person_key, planned_at as seen_at from answerers

),

unknown as (

    select
        named.contact_id,
        max(named.account_id) as account_id,
        max(named.person_key) as person_key,
        min(named.seen_at) as first_seen_at
    from named
    where not exists (
        select 1 from contacts where contacts.contact_id = named.contact_id
    )
    group by named.contact_id

)

select * from unknown
