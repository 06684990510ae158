{# The fields with names of our own that a filter may use (closedloop.programme.filters.FIELDS), by whom they belong to. #}
{% macro filter_fields(subject) %}
    {{ return({
        'contact': {
            'role': 'people.role', 'title': 'people.title', 'language': 'people.language',
            'time_zone': 'people.time_zone', 'is_primary': 'people.is_primary', 'is_lead': 'people.is_lead',
            'created_on': 'cast(people.created_at as date)',
        },
        'account': {
            'name': 'accounts.account_name', 'type': 'accounts.account_type', 'tier': 'accounts.tier',
            'industry': 'accounts.industry', 'segment': 'accounts.segment', 'region': 'accounts.region',
            'plan': 'accounts.plan', 'owner_id': 'accounts.owner_id', 'csm_id': 'accounts.csm_id',
            'contract_value': 'accounts.contract_value', 'lifetime_value': 'accounts.lifetime_value',
            'adoption_score': 'accounts.adoption_score', 'customer_since': 'accounts.customer_since',
            'renewal_date': 'accounts.renewal_date', 'customer_days': 'account_facts.customer_days',
            'won_deals': 'account_facts.won_deals', 'orders': 'account_facts.orders',
            'products': 'account_facts.products', 'cases': 'account_facts.cases',
            'open_cases': 'account_facts.open_cases',
        },
    }[subject]) }}
{% endmacro %}

{# A field as text, by its name in a column. #}
{% macro field_value(subject, field) -%}
    case {{ field }}
        {%- for name, column in filter_fields(subject).items() %}
        when '{{ name }}' then cast({{ column }} as string)
        {%- endfor %}
    end
{%- endmacro %}

{# Whether a field's text stands in `operator` to a value; null where the text is empty or no number. #}
{% macro compare(text, operator, kind, value) -%}
    case {{ kind }}
        when 'number' then {{ by_operator(safe_number(text), operator, safe_number(value)) }}
        when 'boolean' then {{ text }} is not null and ({{ safe_boolean(text) }}) = ({{ value }} = 'true')
        else {{ by_operator(text, operator, value) }}
    end
{%- endmacro %}

{% macro by_operator(left, operator, right) -%}
    case {{ operator }}
        when '=' then {{ left }} = {{ right }}
        when '<' then {{ left }} < {{ right }}
        when '<=' then {{ left }} <= {{ right }}
        when '>' then {{ left }} > {{ right }}
        when '>=' then {{ left }} >= {{ right }}
    end
{%- endmacro %}
