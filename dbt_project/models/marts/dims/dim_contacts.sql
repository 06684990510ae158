with contacts as (

    select * from {{ ref('int_people') }}

),

unknown as (

    select * from {{ ref('int_unknown_contacts') }}

),

opt_outs as (

    select * from {{ ref('int_opt_outs') }}

),

advocates as (

    select * from {{ ref('int_advocates') }}

),

last_contacts as (

    select
        contact_id,
        max(case when what = 'asked' then happened_at end) as last_asked_at,
        max(case when what = 'answered' then happened_at end) as last_answered_at
    from {{ ref('int_contact_history') }}
    group by contact_id

),

latest_responses as (

    select
        contact_id,
        score,
        category,
        row_number() over (partition by contact_id order by submitted_at desc, response_id) as age
    from {{ ref('int_responses') }}

),

people as (

    select
        contact_id, account_id, person_key, first_name, last_name, email, mobile_phone, role, title, is_primary,
        time_zone, language, true as is_in_crm, is_lead, is_deleted, created_at
    from contacts
    union all
    select
        contact_id, account_id, person_key, null, null, null, null, null, null, false, null,
        null, false as is_in_crm, false as is_lead, false as is_deleted, first_seen_at
    from unknown

),

dimension as (

    select
        people.contact_id,
        people.account_id,
        people.person_key,

        people.first_name,
        people.last_name,
        people.email,
        people.mobile_phone,
        people.role,
        people.title,
        people.is_primary,
        people.time_zone,
        people.language,

        opt_outs.person_key is not null as is_opted_out,
        people.is_in_crm,
        people.is_lead,
        people.is_deleted,
        people.created_at,

        last_contacts.last_asked_at as last_invited_at,
        last_contacts.last_answered_at as last_responded_at,
        latest_responses.score as last_score,
        latest_responses.category as last_category,

        advocates.contact_id is not null as is_advocate,
        advocates.advocate_since
    from people
    left join opt_outs on opt_outs.person_key = people.person_key
    left join advocates on advocates.contact_id = people.contact_id
    left join last_contacts on last_contacts.contact_id = people.contact_id
    left join latest_responses on latest_responses.contact_id = people.contact_id and latest_responses.age = 1

)

select * from dimension
