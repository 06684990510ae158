-- Whose address it is: of several contacts or leads with one address, one that is there, and contacts before leads.
with people as (

    select * from {{ ref('int_people') }}

),

ranked as (

    select
        person_key,
        contact_id,
        account_id,
        row_number() over (
            partition by person_key
            order by
                case when is_deleted then 1 else 0 end,
                case when is_lead then 1 else 0 end,
                contact_id
        ) as place
    from people
    where person_key is not null

),

known as (

    select
        person_key,
        contact_id,
        account_id
    from ranked
    where place = 1

)

select * from known
