{# Schemas have the names written in dbt_project.yml, without the target's in front. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ custom_schema_name | trim if custom_schema_name else target.schema }}
{%- endmacro %}

{# Marts go to the attached file that is published; staging, with its personal data, stays in the warehouse. #}
{% macro generate_database_name(custom_database_name=none, node=none) -%}
    {%- if target.type == 'duckdb' and node and node.config.schema == 'marts' -%}
        shop
    {%- else -%}
        {{ custom_database_name | trim if custom_database_name else target.database }}
    {%- endif -%}
{%- endmacro %}
