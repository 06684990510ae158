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

{# A date moved by a whole number of months, from the same day of the month; a month without that day: its last one. #}
{% macro add_months(date, months) %}{{ return(adapter.dispatch('add_months', 'closedloop')(date, months)) }}{% endmacro %}
{% macro default__add_months(date, months) %}cast(({{ date }} + to_months(cast({{ months }} as integer))) as date){% endmacro %}
{% macro spark__add_months(date, months) %}add_months({{ date }}, cast({{ months }} as int)){% endmacro %}

{# Whole months from one date to another, by calendar month: the day does not count. #}
{% macro months_between(first, second) %}{{ return(adapter.dispatch('months_between', 'closedloop')(first, second)) }}{% endmacro %}
{% macro default__months_between(first, second) %}date_diff('month', cast({{ first }} as date), cast({{ second }} as date)){% endmacro %}
{% macro spark__months_between(first, second) %}(12 * (year({{ second }}) - year({{ first }})) + month({{ second }}) - month({{ first }})){% endmacro %}

{# Wall time in a zone of the IANA database, of a UTC timestamp; and the UTC timestamp of a wall time. #}
{% macro to_local(time, zone) %}{{ return(adapter.dispatch('to_local', 'closedloop')(time, zone)) }}{% endmacro %}
{% macro default__to_local(time, zone) %}timezone({{ zone }}, timezone('UTC', {{ time }})){% endmacro %}
{% macro spark__to_local(time, zone) %}cast(from_utc_timestamp({{ time }}, {{ zone }}) as timestamp_ntz){% endmacro %}
{% macro from_local(time, zone) %}{{ return(adapter.dispatch('from_local', 'closedloop')(time, zone)) }}{% endmacro %}
{# Where clocks are set back over that time it comes twice, and the first counts: DuckDB would take the second. #}
{% macro default__from_local(time, zone) %}
    timezone('UTC', case
        when timezone({{ zone }}, timezone({{ zone }}, {{ time }}) - to_hours(1)) = {{ time }}
            then timezone({{ zone }}, {{ time }}) - to_hours(1)
        else timezone({{ zone }}, {{ time }})
    end)
{% endmacro %}
{% macro spark__from_local(time, zone) %}cast(to_utc_timestamp({{ time }}, {{ zone }}) as timestamp_ntz){% endmacro %}

{# 1 Monday to 7 Sunday. #}
{% macro iso_weekday(date) %}{{ return(adapter.dispatch('iso_weekday', 'closedloop')(date)) }}{% endmacro %}
{% macro default__iso_weekday(date) %}isodow({{ date }}){% endmacro %}
{% macro spark__iso_weekday(date) %}(weekday({{ date }}) + 1){% endmacro %}

{# 'HH:MM' of a timestamp. #}
{% macro time_of_day(time) %}{{ return(adapter.dispatch('time_of_day', 'closedloop')(time)) }}{% endmacro %}
{% macro default__time_of_day(time) %}strftime({{ time }}, '%H:%M'){% endmacro %}
{% macro spark__time_of_day(time) %}date_format({{ time }}, 'HH:mm'){% endmacro %}

{# The first 32 bits of the MD5 of a text, as a number from 0 on: evenly spread, the same in every engine and in Python. #}
{% macro hash_number(text) %}{{ return(adapter.dispatch('hash_number', 'closedloop')(text)) }}{% endmacro %}
{% macro default__hash_number(text) %}cast(('0x' || substr(md5({{ text }}), 1, 8)) as bigint){% endmacro %}
{% macro spark__hash_number(text) %}cast(conv(substr(md5({{ text }}), 1, 8), 16, 10) as bigint){% endmacro %}

{# The value that stands beside the greatest `by` of a group. #}
{% macro latest(value, by) %}{{ return(adapter.dispatch('latest', 'closedloop')(value, by)) }}{% endmacro %}
{% macro default__latest(value, by) %}arg_max({{ value }}, {{ by }}){% endmacro %}
{% macro spark__latest(value, by) %}max_by({{ value }}, {{ by }}){% endmacro %}

{# A JSON object of named expressions; those that are null are left out. #}
{% macro json_object(entries) %}{{ return(adapter.dispatch('json_object', 'closedloop')(entries)) }}{% endmacro %}
{% macro default__json_object(entries) -%}
    cast(json_merge_patch('{}', json_object({% for name, value in entries.items() %}'{{ name }}', {{ value }}{{ ', ' if not loop.last }}{% endfor %})) as varchar)
{%- endmacro %}
{% macro spark__json_object(entries) -%}
    to_json(named_struct({% for name, value in entries.items() %}'{{ name }}', {{ value }}{{ ', ' if not loop.last }}{% endfor %}))
{%- endmacro %}

{#
    Whom a replay asks, of candidates in order (person, place; due_day, asked_day, cooldown_days, counted_over, survey_id,
    family_key; quiet_after, quiet_until): greedily, for each person the first that is not within the cooldown of one asked
    before, nor between its quiet days (after the first, before the last, if it has any). A candidate that waits from
    `due_day` to `asked_day` is looked at on all days between. DuckDB takes one round an ask, all persons at once; Spark
    folds each person's list.
#}
{% macro greedy_asks(candidates) %}{{ return(adapter.dispatch('greedy_asks', 'closedloop')(candidates)) }}{% endmacro %}
{% macro default__greedy_asks(candidates) %}
    with recursive rounds as (

        select
            person,
            cast(null as varchar) as candidate_id,
            cast(0 as bigint) as place,
            cast(null as bigint) as asked_day,
            cast(map([], []) as map(varchar, bigint)) as asked_days,
            cast([] as bigint[]) as all_days
        from (select distinct person from {{ candidates }}) as persons

        union all

        select
            person,
            next_one.candidate_id,
            next_one.place,
            next_one.asked_day,
            map_concat(
                asked_days,
                map([next_one.survey_id, next_one.family_key], [next_one.asked_day, next_one.asked_day])
            ),
            list_append(all_days, next_one.asked_day)
        from (
            select
                rounds.person,
                any_value(rounds.asked_days) as asked_days,
                any_value(rounds.all_days) as all_days,
                arg_min({
                    'candidate_id': candidates.candidate_id, 'place': candidates.place,
                    'asked_day': candidates.asked_day, 'survey_id': candidates.survey_id,
                    'family_key': candidates.family_key
                }, candidates.place) as next_one
            from rounds
            inner join {{ candidates }} as candidates
                on candidates.person = rounds.person
                and candidates.place > rounds.place
                and candidates.asked_day > coalesce(rounds.asked_day, -1)
                and case
                    when candidates.counted_over = 'all' then
                        rounds.asked_day is null
                        or greatest(candidates.due_day, rounds.asked_day + 1) - rounds.asked_day >= candidates.cooldown_days
                    else
                        rounds.asked_days[candidates.counted_over] is null
                        or greatest(candidates.due_day, rounds.asked_days[candidates.counted_over] + 1)
                        - rounds.asked_days[candidates.counted_over] >= candidates.cooldown_days
                end
                and case
                    when candidates.quiet_after is null or rounds.asked_day is null then true
                    when rounds.asked_day <= candidates.quiet_after then true
                    when rounds.asked_day < candidates.quiet_until then false
                    -- The wish ended while it waited: an ask before that may stand against it still.
                    else not list_has_any(rounds.all_days, range(candidates.quiet_after + 1, candidates.quiet_until))
                end
            group by rounds.person
        ) as passed

    )

    select candidate_id from rounds where candidate_id is not null
{% endmacro %}
{% macro spark__greedy_asks(candidates) %}
    select explode(aggregate(
        array_sort(collect_list(named_struct(
            'place', place, 'candidate_id', candidate_id, 'due_day', due_day, 'asked_day', asked_day,
            'cooldown_days', cooldown_days, 'counted_over', counted_over, 'survey_id', survey_id, 'family_key', family_key,
            'quiet_after', quiet_after, 'quiet_until', quiet_until
        ))),
        named_struct(
            'asked', cast(array() as array<string>), 'last_day', cast(null as bigint),
            'days', cast(map() as map<string, bigint>), 'all_days', cast(array() as array<bigint>)
        ),
        (state, one) -> if(
            one.asked_day > coalesce(state.last_day, -1)
            and coalesce(
                greatest(one.due_day, if(one.counted_over = 'all', state.last_day, state.days[one.counted_over]) + 1)
                - if(one.counted_over = 'all', state.last_day, state.days[one.counted_over]) >= one.cooldown_days,
                true
            )
            and not coalesce(exists(state.all_days, day -> day > one.quiet_after and day < one.quiet_until), false),
            named_struct(
                'asked', concat(state.asked, array(one.candidate_id)), 'last_day', cast(one.asked_day as bigint),
                'days', map_from_entries(concat(
                    filter(map_entries(state.days), entry -> entry.key not in (one.survey_id, one.family_key)),
                    array_distinct(array(
                        struct(one.survey_id as key, cast(one.asked_day as bigint) as value),
                        struct(one.family_key as key, cast(one.asked_day as bigint) as value)
                    ))
                )),
                'all_days', concat(state.all_days, array(cast(one.asked_day as bigint)))
            ),
            state
        ),
        state -> state.asked
    )) as candidate_id
    from {{ candidates }}
    group by person
{% endmacro %}
