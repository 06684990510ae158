-- What the rules look at, one row per candidate.
with candidates as (

    select * from {{ ref('int_candidates') }}

),

people as (

    select * from {{ ref('int_people') }}

),

accounts as (

    select * from {{ ref('stg_crm__account') }}

),

last_contacts as (

    select * from {{ ref('int_last_contacts') }}

),

wishes as (

    select * from {{ ref('int_wishes') }} where survey_id = 'all'

),

known as (

    select
        candidates.*,
        people.person_key,
        people.email,
        people.role,
        people.known_zone,
        accounts.tier,
        coalesce(candidates.account_id, people.account_id) as asked_account_id,
        {{ is_gone('people', 'accounts') }} as is_gone,
        {{ counted_over('candidates') }} as counted_over
    from candidates
    left join people on people.contact_id = candidates.contact_id
    left join accounts on accounts.account_id = coalesce(candidates.account_id, people.account_id)

),

facts as (

    select
        known.*,
        greatest(asked_contact.last_asked_at, asked_address.last_asked_at) as last_asked_at,
        case
            when asked_contact.last_asked_at >= coalesce(asked_address.last_asked_at, asked_contact.last_asked_at)
                then asked_contact.last_asked_by
            else asked_address.last_asked_by
        end as last_asked_by,
        wishes.at_most_every_days as wished_days,
        greatest(answered_contact.last_asked_at, answered_address.last_asked_at) as last_asked_by_any_at,
        greatest(answered_contact.last_answered_at, answered_address.last_answered_at) as last_answered_at
    from known
    left join last_contacts as asked_contact
        on asked_contact.person_kind = 'contact'
        and asked_contact.person_id = known.contact_id
        and asked_contact.counted_over = known.counted_over
    left join last_contacts as asked_address
        on asked_address.person_kind = 'address'
        and asked_address.person_id = known.person_key
        and asked_address.counted_over = known.counted_over
    left join last_contacts as answered_contact
        on answered_contact.person_kind = 'contact'
        and answered_contact.person_id = known.contact_id
        and answered_contact.counted_over = 'all'
    left join last_contacts as answered_address
        on answered_address.person_kind = 'address'
        and answered_address.person_id = known.person_key
        and answered_address.counted_over = 'all'
    left join wishes on wishes.person_key = known.person_key

)

select * from facts
