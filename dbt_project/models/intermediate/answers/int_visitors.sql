-- Who answered on the website without being asked, by the newest address of each visit; the CRM may know the address.
with events as (

    select * from {{ ref('stg_ledger__events') }} where kind = 'form_submitted'

),

contacts as (

    select * from {{ ref('stg_crm__contact') }}

),

visits as (

    select
        *,
        {{ json_text('payload', "'$.person_key'") }} as person_key,
        min(occurred_at) over (partition by invitation_id) as came_at,
        row_number() over (partition by invitation_id order by seq desc) as age
    from events

),

contact_of_address as (

    select
        person_key,
        contact_id,
        account_id,
        row_number() over (
            partition by person_key
            order by case when is_deleted then 1 else 0 end, contact_id
        ) as place
    from contacts
    where person_key in (select person_key from visits)

),

visitors as (

    select
        visits.invitation_id as visit_id,

        visits.survey_id,
        coalesce(contact_of_address.contact_id, visits.contact_id) as contact_id,
        coalesce(contact_of_address.account_id, visits.account_id) as account_id,
        visits.person_key,

        visits.came_at
    from visits
    left join contact_of_address
        on contact_of_address.person_key = visits.person_key
        and contact_of_address.place = 1
    where visits.age = 1

)

select * from visitors
