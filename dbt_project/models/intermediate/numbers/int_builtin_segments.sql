-- Built-in segments of each response, one column each; null where nobody knows.
with responses as (

    select * from {{ ref('int_responses') }}

),

contacts as (

    select * from {{ ref('stg_crm__contact') }}

),

opportunities as (

    select * from {{ ref('stg_crm__opportunity') }}

),

products as (

    select * from {{ ref('stg_crm__product') }}

),

segments as (

    select
        responses.response_id,

        responses.tier,
        responses.industry,
        responses.segment,
        responses.region,
        responses.plan,

        responses.owner_id_at_response as owner,
        responses.csm_id_at_response as csm,
        responses.team_at_response as team,

        products.product_name as product,
        products.product_family,
        contacts.role as contact_role,

        {{ bin_of('responses.tenure_days', 'tenure_days') }} as tenure,
        {{ bin_of('responses.contract_value', 'contract_value') }} as contract_value,
        {{ bin_of('responses.lifetime_value', 'lifetime_value') }} as lifetime_value,
        {{ bin_of('responses.adoption_score', 'adoption_score') }} as adoption_score,

        responses.channel,
        responses.trigger_event
    from responses
    left join contacts on contacts.contact_id = responses.contact_id
    left join opportunities
        on opportunities.opportunity_id = responses.trigger_record_id
        and responses.trigger_event = 'deal_won'
    left join products on products.product_id = opportunities.product_id

)

select * from segments
