{# Small readings of text that both engines understand. #}

{# Trimmed text; blank becomes null. #}
{% macro text_of(column) %}nullif(trim({{ column }}), ''){% endmacro %}

{% macro safe_boolean(column) %}coalesce(lower(trim({{ column }})) in ('true', '1', 'yes'), false){% endmacro %}

{# The date in the first ten characters: a time of day is ignored. #}
{% macro safe_date(column) %}try_cast(substr(trim({{ column }}), 1, 10) as date){% endmacro %}

{# First day of the week (ISO Monday), month, quarter or year; null for 'all'. #}
{% macro period_start(grain, time) -%}
    {%- if grain == 'all' -%} cast(null as date)
    {%- else -%} cast(date_trunc('{{ grain }}', {{ time }}) as date)
    {%- endif -%}
{%- endmacro %}

{% macro period_grains() %}{{ return(['all', 'week', 'month', 'quarter', 'year']) }}{% endmacro %}

{# A label such as '10000-49999' or '500000+' by the lower bounds declared in dbt_project.yml; null stays null. #}
{% macro bin_of(value, name) -%}
    {%- set bounds = var('bins')[name] -%}
    case
        when {{ value }} is null then null
        when {{ value }} < {{ bounds[0] }} then 'below {{ bounds[0] }}'
        {%- for bound in bounds[1:] %}
        when {{ value }} < {{ bound }} then '{{ bounds[loop.index0] }}-{{ bound - 1 }}'
        {%- endfor %}
        else '{{ bounds[-1] }}+'
    end
{%- endmacro %}

{% macro far_future() %}timestamp '9999-12-31 00:00:00'{% endmacro %}
{% macro far_past() %}timestamp '1900-01-01 00:00:00'{% endmacro %}

{# The day in a zone at which a UTC moment lies. #}
{% macro local_date(time, zone) %}cast({{ to_local(time, zone) }} as date){% endmacro %}

{# A date moved by days. #}
{% macro date_plus(date, days) %}cast({{ add_days('cast(' ~ date ~ ' as timestamp)', days) }} as date){% endmacro %}

{# Rows of a group for which a condition is true. #}
{% macro count_where(condition) %}cast(sum(case when {{ condition }} then 1 else 0 end) as bigint){% endmacro %}

{# Of the rows of a group for which `whole` is true, the share for which `part` is true as well. #}
{% macro share_where(part, whole) -%}
    cast(sum(case when {{ part }} then 1 else 0 end) as double) / nullif(sum(case when {{ whole }} then 1 else 0 end), 0)
{%- endmacro %}

{# Contract value of the rows of a group for which a condition is true; an unknown one is 0. #}
{% macro money_where(condition) -%}
    round(cast(sum(case when {{ condition }} then coalesce(contract_value, 0) else 0 end) as double), 2)
{%- endmacro %}

{# Whether the next of its kind lies in a later period, or nowhere; then this one is the last of its own. #}
{% macro is_last_of_period(grain, time, next_time) -%}
    ({{ next_time }} is null{% if grain != 'all' %} or {{ period_start(grain, next_time) }} > {{ period_start(grain, time) }}{% endif %})
{%- endmacro %}
