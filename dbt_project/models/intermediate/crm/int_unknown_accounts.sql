-- Accounts that contacts, invitations, visits or imported answers name and the CRM doesn't know.
with imported as (

    select * from {{ ref('int_imported_answers') }}

),

answerers as (

    select * from {{ ref('int_answerers') }}

),

contacts as (

    select * from {{ ref('stg_crm__contact') }}

),

accounts as (

    select * from {{ ref('stg_crm__account') }}

),

named as (

    select account_id from imported
    union
    select account_id from answerers
    union
    select account_id from contacts

),

unknown as (

    select named.account_id
    from named
    where named.account_id is not null
        and not exists (
            select 1 from accounts where accounts.account_id = named.account_id
        )

)

select * from unknown
