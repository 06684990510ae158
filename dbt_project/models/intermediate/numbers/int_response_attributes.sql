-- Attributes of imported responses: one row per response and attribute that has a value.
with responses as (

    select response_id, attributes from {{ ref('int_responses') }} where attributes <> '{}'

),

entries as (

    {{ json_entries('responses', 'response_id', 'attributes') }}

),

keyed as (

    -- Two columns that differ in case or blanks only are one attribute.
    select
        response_id,
        replace(lower(trim(entry_key)), ' ', '_') as attribute,
        trim(entry_key) as column_name,
        {{ text_of('entry_value') }} as attribute_value
    from entries

),

names as (

    -- The segment is called as the column is; of several spellings one for all.
    select
        attribute,
        min(column_name) as attribute_name
    from keyed
    group by attribute

),

attributes as (

    select
        keyed.response_id,
        keyed.attribute,
        names.attribute_name,
        max(keyed.attribute_value) as attribute_value
    from keyed
    inner join names on names.attribute = keyed.attribute
    group by keyed.response_id, keyed.attribute, names.attribute_name

)

select * from attributes
