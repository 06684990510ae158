{# What some programme uses, as words of a query: the rest is left out of the plan, not read and thrown away. #}

{# The distinct values of a column of a model that is built already; none where it is not. #}
{% macro used_values(model, column, condition='true') %}
    {%- set relation = ref(model) -%}
    {%- if not execute or not var('leave_out_unused') or relation.is_cte or load_relation(relation) is none -%}
        {{ return(none) }}
    {%- endif -%}
    {{ return(run_query(
        'select distinct ' ~ column ~ ' from ' ~ relation ~ ' where ' ~ condition
    ).columns[0].values() | list) }}
{% endmacro %}

{# True of all that is used, and perhaps of more: it saves reading, and never says who is asked. #}
{% macro is_used(expression, model, column, condition='true') -%}
    {%- set values = used_values(model, column, condition) -%}
    {%- if values is none -%} true
    {%- elif values == [] -%} false
    {%- else -%} {{ expression }} in ('{{ values | map('replace', "'", "''") | join("', '") }}')
    {%- endif -%}
{%- endmacro %}

{# Whether a value is used, or may be. #}
{% macro is_perhaps_used(model, column, value) %}
    {%- set values = used_values(model, column) -%}
    {{ return(values is none or value in values) }}
{% endmacro %}
