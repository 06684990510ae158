-- Addresses whose owner does not want mail, by any contact or lead of the CRM that carries them.
with contacts as (

    select * from {{ ref('stg_crm__contact') }}

),

leads as (

    select * from {{ ref('stg_crm__lead') }}

),

opted_out as (

    select person_key from contacts where is_opted_out and person_key is not null
    union
    select person_key from leads where is_opted_out and person_key is not null

)

select * from opted_out
