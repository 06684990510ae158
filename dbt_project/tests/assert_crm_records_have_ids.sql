-- Every record of the CRM has an Id: one query for all objects.
{% set objects = [
    'account', 'contact', 'user', 'opportunity', 'opportunity_contact_role', 'project', 'order', 'order_item', 'contract',
    'task', 'case', 'product', 'asset', 'lead', 'sign_up', 'adoption',
] %}
with records as (

    {% for object in objects %}
    select '{{ object }}' as object, count(*) as records
    from {{ ref('stg_crm__' ~ object) }}
    where {{ object }}_id is null
    {{ 'union all' if not loop.last }}
    {% endfor %}

),

nameless as (

    select * from records where records > 0

)

select * from nameless
