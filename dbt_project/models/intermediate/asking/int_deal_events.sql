-- Deals that were won or lost, with the primary contact of the deal where it has one.
{{ config(materialized='view') }}

with opportunities as (

    select * from {{ ref('stg_crm__opportunity') }}
    where (is_won or is_closed) and not is_deleted and close_date is not null

),

roles as (

    select * from {{ ref('stg_crm__opportunity_contact_role') }} where is_primary and not is_deleted

),

primary_roles as (

    select
        opportunity_id,
        min(contact_id) as contact_id
    from roles
    where contact_id is not null
    group by opportunity_id

),

events as (

    -- Each by itself: where no survey asks after one of them, its deals are not read.
    {% for event, condition in [('deal_won', 'opportunities.is_won'), ('deal_lost', 'not opportunities.is_won')] %}
    select
        '{{ event }}' as trigger_event,
        opportunities.opportunity_id as trigger_record_id,
        primary_roles.contact_id,
        opportunities.account_id,
        opportunities.product_id,
        cast(opportunities.close_date as timestamp) as occurred_at
    from opportunities
    left join primary_roles on primary_roles.opportunity_id = opportunities.opportunity_id
    where {{ condition }}
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from events
