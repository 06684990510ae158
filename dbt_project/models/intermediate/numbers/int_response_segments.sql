{{ config(materialized='view') }}

-- Every response in every segment, long. Each segment takes in every response of its survey type: '(none)' where the
-- value is empty, so that parts add up to the whole. An attribute named like a built-in segment only fills its gaps.
with responses as (

    select response_id, survey_type from {{ ref('int_responses') }}

),

builtin as (

    select * from {{ ref('int_builtin_segments') }}

),

attributes as (

    select * from {{ ref('int_response_attributes') }}

),

named_attributes as (

    select
        responses.survey_type,
        attributes.attribute,
        attributes.attribute_name
    from attributes
    inner join responses on responses.response_id = attributes.response_id
    where attributes.attribute not in ({{ builtin_segment_names() }})
    group by responses.survey_type, attributes.attribute, attributes.attribute_name

),

few_values as (

    select attribute
    from attributes
    group by attribute
    having count(distinct attribute_value) <= {{ var('attribute_max_values') }}

),

segments as (

    select response_id, 'all' as segment, 'all' as segment_value
    from responses
    {% for segment in builtin_segments() %}
    union all
    select
        builtin.response_id,
        '{{ segment }}' as segment,
        coalesce(builtin.{{ segment }}, attributes.attribute_value, '(none)') as segment_value
    from builtin
    left join attributes
        on attributes.response_id = builtin.response_id
        and attributes.attribute = '{{ segment }}'
    {% endfor %}
    union all
    select
        responses.response_id,
        named_attributes.attribute_name as segment,
        coalesce(attributes.attribute_value, '(none)') as segment_value
    from responses
    inner join named_attributes on named_attributes.survey_type = responses.survey_type
    inner join few_values on few_values.attribute = named_attributes.attribute
    left join attributes
        on attributes.response_id = responses.response_id
        and attributes.attribute = named_attributes.attribute

)

select * from segments
