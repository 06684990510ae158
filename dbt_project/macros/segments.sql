{# Built-in segments of rpt_nps, columns of int_builtin_segments; 'all' stands beside them. #}
{% macro builtin_segments() %}
    {{ return([
        'tier', 'industry', 'segment', 'region', 'plan', 'owner', 'csm', 'team', 'product', 'product_family',
        'contact_role', 'tenure', 'contract_value', 'lifetime_value', 'adoption_score', 'channel',
        'trigger_event',
    ]) }}
{% endmacro %}

{# The same as a list of SQL literals, with 'all'. #}
{% macro builtin_segment_names() %}'all', '{{ builtin_segments() | join("', '") }}'{% endmacro %}
