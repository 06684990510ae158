-- Who answered on the website without being asked, by the newest address of each visit; the CRM may know the address.
with events as (

    select * from {{ ref('stg_ledger__events') }} where kind = 'form_submitted'

),

known_addresses as (

    select * from {{ ref('int_known_addresses') }}

),

visits as (

    select
        *,
        {{ json_text('payload', "'$.person_key'") }} as person_key,
        min(occurred_at) over (partition by invitation_id) as came_at,
        row_number() over (partition by invitation_id order by seq desc) as age
    from events

),

visitors as (

    select
        visits.invitation_id as visit_id,

        visits.survey_id,
        coalesce(known_addresses.contact_id, visits.contact_id) as contact_id,
        coalesce(known_addresses.account_id, visits.account_id) as account_id,
        visits.person_key,

        visits.came_at
    from visits
    left join known_addresses
        on known_addresses.person_key = visits.person_key
    where visits.age = 1

)

select * from visitors
