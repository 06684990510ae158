-- Won deals and whom to ask about them: the primary contact of the deal, else of the account, else its first one.
with opportunities as (

    select * from {{ ref('stg_crm__opportunity') }}
    where is_won and not is_deleted and close_date is not null

),

roles as (

    select * from {{ ref('stg_crm__opportunity_contact_role') }} where is_primary and not is_deleted

),

contacts as (

    select * from {{ ref('stg_crm__contact') }} where not is_deleted and account_id is not null

),

primary_roles as (

    select
        opportunity_id,
        min(contact_id) as contact_id
    from roles
    where contact_id is not null
    group by opportunity_id

),

ranked_contacts as (

    select
        account_id,
        contact_id,
        row_number() over (
            partition by account_id
            order by case when is_primary then 0 else 1 end, contact_id
        ) as place
    from contacts

),

events as (

    select
        'deal_won' as trigger_event,
        opportunities.opportunity_id as trigger_record_id,
        coalesce(primary_roles.contact_id, ranked_contacts.contact_id) as contact_id,
        opportunities.account_id,
        opportunities.product_id,
        cast(opportunities.close_date as timestamp) as occurred_at
    from opportunities
    left join primary_roles on primary_roles.opportunity_id = opportunities.opportunity_id
    left join ranked_contacts
        on ranked_contacts.account_id = opportunities.account_id
        and ranked_contacts.place = 1
    where coalesce(primary_roles.contact_id, ranked_contacts.contact_id) is not null

)

select * from events
