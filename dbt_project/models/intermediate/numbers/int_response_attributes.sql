-- Attributes of imported responses: one row per response and attribute that has a value.
with responses as (

    select response_id, attributes from {{ ref('int_responses') }} where attributes <> '{}'

),

entries as (

    {{ json_entries('responses', 'response_id', 'attributes') }}

),

attributes as (

    -- Two columns that differ in case or blanks only are one attribute.
    select
        response_id,
        replace(lower(trim(entry_key)), ' ', '_') as attribute,
        max({{ text_of('entry_value') }}) as attribute_value
    from entries
    group by response_id, replace(lower(trim(entry_key)), ' ', '_')

)

select * from attributes
