-- What the rules look at, one row per candidate.
with candidates as (

    select * from {{ ref('int_candidates') }}

),

contacts as (

    select * from {{ ref('stg_crm__contact') }}

),

accounts as (

    select * from {{ ref('stg_crm__account') }}

),

last_contacts as (

    select * from {{ ref('int_last_contacts') }}

),

known as (

    select
        candidates.*,
        contacts.person_key,
        contacts.email,
        contacts.role,
        accounts.tier,
        coalesce(candidates.account_id, contacts.account_id) as asked_account_id,
        contacts.contact_id is null or contacts.is_deleted or coalesce(accounts.is_deleted, false) as is_gone,
        case when candidates.cooldown_scope = 'survey' then candidates.survey_id else 'all' end as cooldown_over
    from candidates
    left join contacts on contacts.contact_id = candidates.contact_id
    left join accounts on accounts.account_id = coalesce(candidates.account_id, contacts.account_id)

),

facts as (

    select
        known.*,
        greatest(asked_contact.last_asked_at, asked_address.last_asked_at) as last_asked_at,
        greatest(answered_contact.last_answered_at, answered_address.last_answered_at) as last_answered_at
    from known
    left join last_contacts as asked_contact
        on asked_contact.person_kind = 'contact'
        and asked_contact.person_id = known.contact_id
        and asked_contact.survey_id = known.cooldown_over
    left join last_contacts as asked_address
        on asked_address.person_kind = 'address'
        and asked_address.person_id = known.person_key
        and asked_address.survey_id = known.cooldown_over
    left join last_contacts as answered_contact
        on answered_contact.person_kind = 'contact'
        and answered_contact.person_id = known.contact_id
        and answered_contact.survey_id = 'all'
    left join last_contacts as answered_address
        on answered_address.person_kind = 'address'
        and answered_address.person_id = known.person_key
        and answered_address.survey_id = 'all'

)

select * from facts
