{# All that DuckDB and Spark 3.5 say differently. Everything else in this project is SQL that both speak. #}

{# Text to number; what is no number becomes null. #}
{% macro safe_number(text) %}{{ return(adapter.dispatch('safe_number', 'closedloop')(text)) }}{% endmacro %}
{% macro default__safe_number(text) %}try_cast(nullif(trim({{ text }}), '') as double){% endmacro %}
{% macro spark__safe_number(text) %}try_cast(nullif(trim({{ text }}), '') as double){% endmacro %}

{# Text to UTC timestamp without a zone; an offset is applied, none means UTC (the session's zone is UTC). #}
{% macro safe_timestamp(text) %}{{ return(adapter.dispatch('safe_timestamp', 'closedloop')(text)) }}{% endmacro %}
{% macro default__safe_timestamp(text) %}(try_cast({{ text }} as timestamptz) at time zone 'UTC'){% endmacro %}
{% macro spark__safe_timestamp(text) %}cast(try_cast(regexp_replace({{ text }}, '([+-][0-9]{2})([0-9]{2})$', '$1:$2') as timestamp_ltz) as timestamp_ntz){% endmacro %}

{# The value at a JSON path such as '$.cooldown.days', as text; objects and lists as JSON text. #}
{% macro json_text(json, path) %}{{ return(adapter.dispatch('json_text', 'closedloop')(json, path)) }}{% endmacro %}
{% macro default__json_text(json, path) %}json_extract_string({{ json }}, {{ path }}){% endmacro %}
{% macro spark__json_text(json, path) %}get_json_object({{ json }}, {{ path }}){% endmacro %}

{# One row (id, key, value) for each entry of a flat JSON object in `json`. #}
{% macro json_entries(relation, id, json) %}{{ return(adapter.dispatch('json_entries', 'closedloop')(relation, id, json)) }}{% endmacro %}
{% macro default__json_entries(relation, id, json) %}
    select
        {{ id }},
        entry.key as entry_key,
        entry.value as entry_value
    from (
        select {{ id }}, unnest(map_entries(from_json({{ json }}, '"MAP(VARCHAR, VARCHAR)"'))) as entry
        from {{ relation }}
    ) as entries
{% endmacro %}
{% macro spark__json_entries(relation, id, json) %}
    select {{ id }}, explode(from_json({{ json }}, 'map<string,string>')) as (entry_key, entry_value)
    from {{ relation }}
{% endmacro %}

{# Seconds from one timestamp to another, with fractions. #}
{% macro seconds_between(first, second) %}{{ return(adapter.dispatch('seconds_between', 'closedloop')(first, second)) }}{% endmacro %}
{% macro default__seconds_between(first, second) %}(epoch({{ second }}) - epoch({{ first }})){% endmacro %}
{% macro spark__seconds_between(first, second) %}((unix_micros(cast({{ second }} as timestamp_ltz)) - unix_micros(cast({{ first }} as timestamp_ltz))) / 1000000.0){% endmacro %}

{# Whole days from one UTC date to another. #}
{% macro days_between(first, second) %}{{ return(adapter.dispatch('days_between', 'closedloop')(first, second)) }}{% endmacro %}
{% macro default__days_between(first, second) %}date_diff('day', cast({{ first }} as date), cast({{ second }} as date)){% endmacro %}
{% macro spark__days_between(first, second) %}datediff(cast({{ second }} as date), cast({{ first }} as date)){% endmacro %}

{# A timestamp moved by a whole number of days, which may be a column. #}
{% macro add_days(time, days) %}{{ return(adapter.dispatch('add_days', 'closedloop')(time, days)) }}{% endmacro %}
{% macro default__add_days(time, days) %}({{ time }} + to_days(cast({{ days }} as integer))){% endmacro %}
{% macro spark__add_days(time, days) %}({{ time }} + make_dt_interval({{ days }})){% endmacro %}

{# SHA-256 of the normalised address, as closedloop.identity.person_key computes it; null without an address. #}
{% macro person_key(email) %}{{ return(adapter.dispatch('person_key', 'closedloop')(email)) }}{% endmacro %}
{% macro default__person_key(email) %}sha256(nullif(lower(regexp_replace({{ email }}, '^\s+|\s+$', '', 'g')), '')){% endmacro %}
{% macro spark__person_key(email) %}sha2(nullif(lower(regexp_replace({{ email }}, '^\\s+|\\s+$', '')), ''), 256){% endmacro %}
