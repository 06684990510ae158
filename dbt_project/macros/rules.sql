{# Names of the rules about who, in the order in which the deciding one is named (closedloop.programme.Rule). #}
{% macro eligibility_rules() %}
    {{ return([
        'contact_gone', 'no_address', 'excluded', 'opted_out', 'suppressed', 'audience', 'expired', 'cooldown',
        'recent_response', 'one_per_wave',
    ]) }}
{% endmacro %}

{# JSON list of the rules whose column `fails_<rule>` is true, in their order. #}
{% macro failed_rules() -%}
    '[' || substr(
        {%- for rule in eligibility_rules() %}
        case when fails_{{ rule }} then ',"{{ rule }}"' else '' end{{ ' ||' if not loop.last }}
        {%- endfor %},
        2
    ) || ']'
{%- endmacro %}

{% macro deciding_rule() -%}
    case
        {%- for rule in eligibility_rules() %}
        when fails_{{ rule }} then '{{ rule }}'
        {%- endfor %}
        else 'passed'
    end
{%- endmacro %}
