-- Everyone whom the CRM knows by name: contacts, and leads that have not become one yet. A lead's sign-up makes it due
-- like a contact's; once converted it is the contact, and by its address it was the same person all along.
with contacts as (

    select * from {{ ref('stg_crm__contact') }}

),

leads as (

    select * from {{ ref('stg_crm__lead') }}

),

zones as (

    select * from {{ ref('time_zones') }}

),

named as (

    select
        contact_id, account_id, person_key, first_name, last_name, email, mobile_phone, role, title, is_primary,
        time_zone, language, false as is_lead, is_deleted, created_at
    from contacts
    union all
    select
        leads.lead_id, null, leads.person_key, leads.first_name, leads.last_name, leads.email, leads.mobile_phone,
        null, null, false, null, null, true as is_lead, leads.is_deleted, leads.created_at
    from leads
    where not leads.is_converted
        and not exists (
            select 1 from contacts where contacts.contact_id = leads.lead_id
        )

),

people as (

    select
        named.contact_id,
        named.account_id,
        named.person_key,

        named.first_name,
        named.last_name,
        named.email,
        named.mobile_phone,
        named.role,
        named.title,
        named.is_primary,
        -- As the CRM has it, and the one to reckon with: UTC where the CRM has none that exists.
        named.time_zone,
        zones.time_zone as known_zone,
        named.language,

        named.is_lead,
        named.is_deleted,
        named.created_at
    from named
    left join zones on zones.time_zone = named.time_zone

)

select * from people
