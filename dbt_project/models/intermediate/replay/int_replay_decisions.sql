-- What would be decided about each candidate of the days played through, and on which day; with the survey whose ask
-- stood in the way, where one did.
with rules as (

    select * from {{ ref('int_replay_rules') }}

),

stopped as (

    select * from {{ ref('int_replay_stops') }}

),

judged as (

    select
        rules.candidate_id,
        rules.contact_id,
        rules.asked_account_id as account_id,
        rules.person_key,
        rules.survey_id,
        rules.trigger_event,
        rules.trigger_record_id,
        rules.due_at,
        rules.due_on,
        rules.asked_on,
        rules.expires_at,
        rules.slot_on,
        rules.ends_on,
        rules.priority,
        coalesce(stopped.stopped_by, rules.blocked_by) as blocked_by,

        {% for rule in rules_alone() if rule != 'cooldown' -%}
        rules.fails_{{ rule }},
        {% endfor -%}
        rules.fails_cooldown or coalesce(stopped.fails_cooldown, false) as fails_cooldown,
        false as fails_account_cap,
        coalesce(stopped.shares_day, false) as shares_day,
        rules.asked_on > rules.ends_on and rules.slot_on > rules.ends_on as waits_wave_slot,
        rules.asked_on > rules.ends_on and rules.slot_on <= rules.ends_on as waits_business_hours
    from rules
    left join stopped on stopped.candidate_id = rules.candidate_id

),

weighed as (

    -- Only who could be asked otherwise loses the day to another ask.
    select
        *,
        shares_day and not (
            {%- for rule in rules_alone() %}
            fails_{{ rule }}{{ ' or' if not loop.last }}
            {%- endfor %}
        ) as fails_one_per_wave
    from judged

),

decided as (

    select
        *,
        {{ deciding_rule() }} as deciding_rule,
        {{ failed_rules() }} as all_failed_rules
    from weighed

),

decisions as (

    select
        candidate_id,
        contact_id,
        account_id,
        person_key,
        survey_id,
        trigger_event,
        trigger_record_id,
        due_at,
        due_on,
        asked_on as decided_on,
        case
            when deciding_rule = 'passed' then 'ask'
            when deciding_rule in ('{{ waiting_rules() | join("', '") }}') then 'defer'
            else 'skip'
        end as decision,
        deciding_rule,
        all_failed_rules,
        case when deciding_rule in ('cooldown', 'one_per_wave') then blocked_by end as blocked_by,
        priority
    from decided

)

select * from decisions
