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

{# Which of them stand in int_account_facts. #}
{% macro counts_of_account() %}field in ('customer_days', 'won_deals', 'orders', 'products', 'cases', 'open_cases'){% endmacro %}

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

{#
    Of each survey that has a filter: whom it lets in of `rows` (survey_id, contact_id, account_id), by contact and the
    account that the contact is asked about. Over people, terms and field_values.
#}
{% macro audience_of(rows) %}
    with known_fields as (

        select distinct subject, field from field_values

    ),

    asked as (

        select distinct
            candidates.survey_id,
            candidates.contact_id,
            coalesce(candidates.account_id, people.account_id, '') as account_id
        from {{ rows }} as candidates
        left join people on people.contact_id = candidates.contact_id
        where candidates.survey_id in (select survey_id from terms)

    ),

    compared as (

        select
            asked.survey_id, asked.contact_id, asked.account_id,
            terms.clause, terms.condition, terms.is_negated,
            known_fields.field is not null as is_known,
            case
                when terms.operator = 'empty' then field_values.value is null
                else coalesce({{ compare('field_values.value', 'terms.operator', 'terms.kind', 'terms.value') }}, false)
            end as is_match
        from asked
        inner join terms on terms.survey_id = asked.survey_id
        left join known_fields on known_fields.subject = terms.subject and known_fields.field = terms.field
        left join field_values
            on field_values.subject = terms.subject
            and field_values.field = terms.field
            and field_values.subject_id = case terms.subject
                when 'contact' then asked.contact_id
                else asked.account_id
            end

    ),

    conditions as (

        -- A field that nobody knows holds for nobody, turned round or not.
        select
            survey_id, contact_id, account_id, clause, condition,
            max(case when is_match then 1 else 0 end) <> max(case when is_negated then 1 else 0 end)
            and min(case when is_known then 1 else 0 end) = 1 as holds
        from compared
        group by survey_id, contact_id, account_id, clause, condition

    ),

    clauses as (

        select
            survey_id, contact_id, account_id, clause,
            min(case when holds then 1 else 0 end) as holds
        from conditions
        group by survey_id, contact_id, account_id, clause

    ),

    audience as (

        select
            survey_id, contact_id, account_id
        from clauses
        group by survey_id, contact_id, account_id
        having max(holds) = 1

    )

    select * from audience
{% endmacro %}
