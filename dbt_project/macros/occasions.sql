{# What is due: the id of an occasion, which of them are decided, and which of two triggers makes one. #}

{# A survey, a contact, an event, a record; closedloop.identity.candidate_id computes the same. #}
{% macro candidate_id(row) -%}
    md5(
            {{ row }}.survey_id || '|' || {{ row }}.contact_id || '|' || {{ row }}.trigger_event || '|'
            || {{ row }}.trigger_record_id
        )
{%- endmacro %}

{#
    What is decided about an occasion. Where a record is about one contact it is the record: another contact who takes that
    place later is not asked about it again. Where it is about everyone of the account, it is the record for one contact.
#}
{% macro decided_for(due) %}case when {{ due }}.contacts = 'all' then {{ due }}.contact_id else '' end{% endmacro %}

{# The same of sealed decisions: a row for the record, and one for the contact where some survey asks everyone. #}
{% macro decided_of(sealed) %}
    select survey_id, trigger_event, trigger_record_id, '' as decided_for
    from {{ sealed }}
    union all
    select survey_id, trigger_event, trigger_record_id, contact_id
    from {{ sealed }}
    where {{ is_used('survey_id', 'int_survey_triggers', 'survey_id', "contacts = 'all'") }}
{% endmacro %}

{# Rows of `due` that no row of `decided` is about. #}
{% macro undecided(due, decided) %}
    select {{ due }}.*
    from {{ due }}
    left join {{ decided }} as decided
        on decided.survey_id = {{ due }}.survey_id
        and decided.trigger_event = {{ due }}.trigger_event
        and decided.trigger_record_id = {{ due }}.trigger_record_id
        and decided.decided_for = {{ decided_for(due) }}
    where decided.survey_id is null
{% endmacro %}

{# An occasion with the parameters of its survey. #}
{% macro occasion_columns(due, triggers) -%}
        {{ candidate_id(due) }} as candidate_id,
        {{ due }}.contact_id,
        {{ due }}.account_id,
        {{ due }}.survey_id,
        {{ due }}.trigger_event,
        {{ due }}.trigger_record_id,
        {{ due }}.trigger_no,
        {{ due }}.due_at,
        {{ add_days(due ~ '.due_at', triggers ~ '.max_age_days') }} as expires_at,
        {{ triggers }}.priority,
        {{ triggers }}.cooldown_days,
        {{ triggers }}.cooldown_scope,
        {{ triggers }}.family,
        {{ triggers }}.skip_after_response_days
{%- endmacro %}

{# Two triggers of a survey may lead to one occasion: whichever makes it due first. Where no survey has two, all rows. #}
{% macro first_of_twins(occasions) %}
    {%- if used_values('int_survey_triggers', 'survey_id', 'has_twin') == [] %}
    select * from {{ occasions }}
    {%- else %}
    select *
    from (
        select
            *,
            row_number() over (partition by candidate_id order by due_at, trigger_no) as trigger_place
        from {{ occasions }}
    ) as placed
    where trigger_place = 1
    {%- endif %}
{% endmacro %}
