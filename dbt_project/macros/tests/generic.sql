{# The few generic tests that this project needs (no package registry of dbt is needed to run it). #}

{# No null in any column of the key (but in those named nullable), and no key twice: one query for both. #}
{% test primary_key(model, columns, nullable=[]) %}
    select {{ (columns + nullable) | join(', ') }}, count(*) as occurrences
    from {{ model }}
    group by {{ (columns + nullable) | join(', ') }}
    having count(*) > 1 or {% for column in columns %}{{ column }} is null{{ ' or ' if not loop.last }}{% endfor %}
{% endtest %}

{# Every expression is true for every row (null counts as true); several in one query. #}
{% test always(model, expressions) %}
    select *
    from {{ model }}
    where {% for expression in expressions %}not ({{ expression }}){{ ' or ' if not loop.last }}{% endfor %}
{% endtest %}

{# Each value that is not null stands in another model. #}
{% test stands_in(model, column_name, to, field) %}
    select child.{{ column_name }}
    from {{ model }} as child
    where child.{{ column_name }} is not null
        and not exists (
            select 1 from {{ to }} as parent where parent.{{ field }} = child.{{ column_name }}
        )
    group by child.{{ column_name }}
{% endtest %}
