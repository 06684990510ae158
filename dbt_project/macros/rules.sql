{# Names of the rules about who, in the order in which the deciding one is named (closedloop.programme.Rule). #}
{% macro eligibility_rules() %}
    {{ return([
        'contact_gone', 'no_address', 'excluded', 'opted_out', 'suppressed', 'audience', 'not_sampled', 'expired',
        'cooldown', 'recent_response', 'account_cap', 'one_per_wave',
    ]) }}
{% endmacro %}

{# Names of the rules about when, likewise (closedloop.programme.WaitingRule). #}
{% macro waiting_rules() %}
    {{ return(['wave_slot', 'business_hours']) }}
{% endmacro %}

{# The rules that look at one candidate alone; the others weigh candidates of one evaluation against each other. #}
{% macro rules_alone() %}
    {{ return(eligibility_rules() | reject('in', ['account_cap', 'one_per_wave']) | list) }}
{% endmacro %}

{# Those of them that look at the person and at the survey's filter only: what is planned must pass them still. #}
{% macro rules_about_the_person() %}
    {{ return(['contact_gone', 'no_address', 'excluded', 'opted_out', 'suppressed', 'audience']) }}
{% endmacro %}

{# Whether the contact, or the account that it is asked about, is no more. #}
{% macro is_gone(people, accounts) -%}
    {{ people }}.contact_id is null or {{ people }}.is_deleted or coalesce({{ accounts }}.is_deleted, false)
{%- endmacro %}

{# Their columns, of a row with contact_id, asked_account_id, person_key, email, survey_id and is_gone ... #}
{% macro fails_about_the_person(row) -%}
        {{ row }}.is_gone as fails_contact_gone,
        {{ is_no_address(row ~ '.email') }} as fails_no_address,
        excluded_contact.subject_id is not null or excluded_account.subject_id is not null as fails_excluded,
        opt_outs.person_key is not null as fails_opted_out,
        suppressions.person_key is not null as fails_suppressed,
        filtered.survey_id is not null and audience.contact_id is null as fails_audience
{%- endmacro %}

{# ... and what they are read from: lists by contact, account and address, and whom each filter lets in. #}
{% macro join_lists_of_the_person(row) -%}
    left join exclusions as excluded_contact
        on excluded_contact.subject = 'contact'
        and excluded_contact.subject_id = {{ row }}.contact_id
    left join exclusions as excluded_account
        on excluded_account.subject = 'account'
        and excluded_account.subject_id = {{ row }}.asked_account_id
    left join opt_outs on opt_outs.person_key = {{ row }}.person_key
    left join suppressions
        on suppressions.person_key = {{ row }}.person_key
        and coalesce(suppressions.survey_id, {{ row }}.survey_id) = {{ row }}.survey_id
    left join filtered on filtered.survey_id = {{ row }}.survey_id
    left join audience
        on audience.survey_id = {{ row }}.survey_id
        and audience.contact_id = {{ row }}.contact_id
        and audience.account_id = coalesce({{ row }}.asked_account_id, '')
{%- endmacro %}

{# Over which invitations a survey's cooldown counts: 'all', a family, or the survey itself. #}
{% macro counted_over(row) -%}
    case {{ row }}.cooldown_scope
        when 'survey' then {{ row }}.survey_id
        when 'family' then 'family:' || coalesce({{ row }}.family, '')
        else 'all'
    end
{%- endmacro %}

{# Days after it is due on which a contact of a spread wave is asked: its own, and it never changes. #}
{% macro wave_slot(candidate_id, spread_days) -%}
    ({{ hash_number(candidate_id) }} % {{ spread_days }})
{%- endmacro %}

{# An address that mail can be sent to, as far as SQL can tell. #}
{% macro is_no_address(email) -%}
    (coalesce({{ email }}, '') not like '%_@_%' or {{ email }} like '% %' or {{ email }} like '%@%@%')
{%- endmacro %}

{# JSON list of the rules whose column `fails_<rule>` (or `waits_<rule>`) is true, in their order: of all, or of `who`. #}
{% macro failed_rules(who=none) -%}
    '[' || substr(
        {%- for rule in who or eligibility_rules() %}
        {{ '|| ' if not loop.first }}case when fails_{{ rule }} then ',"{{ rule }}"' else '' end
        {%- endfor %}
        {%- for rule in ([] if who else waiting_rules()) %}
        || case when waits_{{ rule }} then ',"{{ rule }}"' else '' end
        {%- endfor %},
        2
    ) || ']'
{%- endmacro %}

{% macro deciding_rule(who=none) -%}
    case
        {%- for rule in who or eligibility_rules() %}
        when fails_{{ rule }} then '{{ rule }}'
        {%- endfor %}
        {%- for rule in ([] if who else waiting_rules()) %}
        when waits_{{ rule }} then '{{ rule }}'
        {%- endfor %}
        else 'passed'
    end
{%- endmacro %}

{# Whether a day is no working day, or a holiday; both are JSON lists of the definition. #}
{% macro is_closed_day(day, weekdays, holidays) -%}
    (
        {{ weekdays }} not like '%"' || case {{ iso_weekday(day) }}
            when 1 then 'mon' when 2 then 'tue' when 3 then 'wed' when 4 then 'thu' when 5 then 'fri' when 6 then 'sat'
            else 'sun'
        end || '"%'
        or coalesce({{ holidays }}, '') like '%"' || cast({{ day }} as string) || '"%'
    )
{%- endmacro %}

{# What a decision looked at, as JSON: no names, no addresses. #}
{% macro decision_facts() -%}
    {{ json_object({
        'asked_at': 'cast(last_asked_at as string)',
        'asked_by': 'last_asked_by',
        'cooldown_days': 'cooldown_days',
        'cooldown_over': 'counted_over',
        'wished_days': 'wished_days',
        'answered_at': 'cast(last_answered_at as string)',
        'rest_days': 'skip_after_response_days',
        'exclusion': 'exclusion_reason',
        'suppression': 'suppression_reason',
        'role': 'role',
        'tier': 'tier',
        'slot_on': 'cast(slot_on as string)',
        'local_time': 'cast(local_at as string)',
        'expires_at': 'cast(expires_at as string)',
        'asks_of_account': 'case when cap_days is not null then asks_of_account end',
    }) }}
{%- endmacro %}
