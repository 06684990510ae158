{#
    What became of decisions: which mails reached somebody, and which answers count. Each macro is one step over the
    relation of the step before it; the models of `answers/` take them over all that ever happened, those of `asking/`
    and `replay/` over the decisions that some rule looks at (`past_of`).
#}

{#
    What became of each invitation; reminders and alerts have their own. `channel` is where it reached the person, if not by
    mail. What the mail server proved never to have taken (`reconciled`) is pending again.
#}
{% macro message_events_of(events) %}
    select
        seq,
        case when kind = 'reconciled' then 'pending' else kind end as kind,
        invitation_id,
        occurred_at,
        {{ json_text('payload', "'$.channel'") }} as channel
    from {{ events }}
    where kind in ('sent', 'rejected', 'suppressed', 'uncertain', 'reconciled', 'delivered', 'bounced')
        and coalesce({{ json_text('payload', "'$.message_kind'") }}, 'invitation') = 'invitation'
{% endmacro %}

{# Where the books put each invitation (the last of the sender's verdicts), and when each stage was first reached. #}
{% macro mail_states_of(message_events) %}
    {%- set is_verdict = "case when kind in ('sent', 'rejected', 'suppressed', 'uncertain', 'pending') then " %}
    select
        invitation_id,
        {{ latest(is_verdict ~ 'kind end', is_verdict ~ 'seq end') }} as verdict,
        min(case when kind = 'sent' then occurred_at end) as sent_at,
        min(case when kind = 'uncertain' then occurred_at end) as uncertain_at,
        min(case when kind = 'delivered' then occurred_at end) as delivered_at,
        min(case when kind = 'bounced' then occurred_at end) as bounced_at,
        max(channel) as channel
    from {{ message_events }}
    group by invitation_id
{% endmacro %}

{# One row per sealed ask, with what the sender knows of it. #}
{% macro invitations_of(decisions, states) %}
    select
        decisions.candidate_id as invitation_id,

        decisions.contact_id,
        decisions.account_id,
        decisions.person_key,
        decisions.survey_id,
        decisions.wave_id,
        coalesce(states.channel, 'email') as channel,

        decisions.trigger_event,
        decisions.trigger_record_id,

        coalesce(states.verdict, 'pending') as delivery_state,
        decisions.sealed_at as planned_at,
        states.sent_at,
        states.uncertain_at,
        states.delivered_at,
        states.bounced_at
    from {{ decisions }} as decisions
    left join {{ states }} as states on states.invitation_id = decisions.candidate_id
{% endmacro %}

{#
    Raw hits of each invitation's links: people and machines alike. A mail program that fetches the pictures of every mail
    (`machine`) opens nothing. A click that a mail provider reports is a hit of ours already.
#}
{% macro hits_of(events) %}
    select
        invitation_id,

        count(distinct case when not is_hidden then clicked_score end) as distinct_score_links,
        cast(sum(case when is_hidden then 1 else 0 end) as bigint) as hidden_link_hits,
        cast(sum(case when kind = 'opened' and is_machine then 1 else 0 end) as bigint) as machine_opens,

        min(case when kind = 'opened' and not is_machine then occurred_at end) as opened_at,
        min(case when kind in ('clicked', 'viewed') and not is_hidden then occurred_at end) as clicked_at,
        min(case when kind = 'unsubscribed' then occurred_at end) as unsubscribed_at,
        min(case when kind = 'shown' then occurred_at end) as shown_at,
        min(case when kind = 'dismissed' then occurred_at end) as dismissed_at
    from (
        select
            kind,
            invitation_id,
            occurred_at,
            case when kind = 'clicked' then {{ json_text('payload', "'$.score'") }} end as clicked_score,
            kind = 'clicked' and {{ safe_boolean(json_text('payload', "'$.hidden'")) }} as is_hidden,
            {{ safe_boolean(json_text('payload', "'$.machine'")) }} as is_machine,
            {{ json_text('payload', "'$.provider'") }} as provider
        from {{ events }}
        where kind in ('opened', 'clicked', 'viewed', 'unsubscribed', 'shown', 'dismissed')
            and coalesce({{ json_text('payload', "'$.message_kind'") }}, 'invitation') <> 'alert'
    ) as parsed
    where kind = 'opened' or provider is null
    group by invitation_id
{% endmacro %}

{# Every answer that was posted: a score, a change of it, a comment added to it. `scored_at` is the time of its score. #}
{% macro answer_versions_of(events) %}
    select
        seq,
        invitation_id,
        occurred_at,
        coalesce({{ safe_timestamp(json_text('payload', "'$.scored_at'")) }}, occurred_at) as scored_at,

        cast({{ safe_number(json_text('payload', "'$.score'")) }} as bigint) as score,
        {{ json_text('payload', "'$.comment'") }} as comment,
        coalesce({{ json_text('payload', "'$.answers'") }}, '{}') as answers,

        coalesce({{ json_text('payload', "'$.channel'") }}, 'email') as channel,
        coalesce({{ json_text('payload', "'$.judged'") }}, 'provisional') as judged,
        coalesce({{ safe_number(json_text('payload', "'$.visible_ms'")) }}, 0) as visible_ms,
        {{ safe_boolean(json_text('payload', "'$.completed'")) }} as is_completed
    from {{ events }}
    where kind = 'answered'
{% endmacro %}

{# Which posted answers are a person's: provisional ones are confirmed by what the mail's links and the page tell. #}
{% macro answer_confirmations_of(versions, invitations, hits, events) %}
    select
        versions.*,
        voided.invitation_id is not null as is_voided,
        versions.judged = 'human'
        or (
            coalesce(hits.distinct_score_links, 0) = 1
            and coalesce(hits.hidden_link_hits, 0) = 0
            and versions.visible_ms >= {{ var('confirm_min_visible_ms') }}
            and coalesce({{ seconds_between(
                'coalesce(invitations.delivered_at, invitations.sent_at, invitations.planned_at)',
                'versions.occurred_at'
            ) }} >= {{ var('confirm_min_seconds') }}, false)
        ) as is_confirmed
    from {{ versions }} as versions
    inner join {{ invitations }} as invitations on invitations.invitation_id = versions.invitation_id
    left join {{ hits }} as hits on hits.invitation_id = versions.invitation_id
    left join (
        select distinct invitation_id from {{ events }} where kind = 'voided'
    ) as voided on voided.invitation_id = versions.invitation_id
{% endmacro %}

{# Which answers count: human ones go before provisional ones, and the last score within 24 hours counts. #}
{% macro judged_answers_of(confirmations) %}
    with eligible as (

        -- A provisional answer never stands against a human one.
        select
            *,
            is_confirmed and (
                judged = 'human'
                or max(case when judged = 'human' then 1 else 0 end) over (partition by invitation_id) = 0
            ) as is_eligible
        from {{ confirmations }}

    ),

    timed as (

        select
            *,
            min(case when is_confirmed then occurred_at end) over (partition by invitation_id) as responded_at,
            min(case when is_eligible then occurred_at end) over (partition by invitation_id) as first_eligible_at
        from eligible

    ),

    in_time as (

        select
            *,
            is_eligible and {{ seconds_between('first_eligible_at', 'occurred_at') }}
                <= {{ var('change_of_mind_hours') }} * 3600 as is_in_time
        from timed

    ),

    standing as (

        -- The score that stands; a later comment to the same score still belongs to it.
        select
            *,
            first_value(score) over (
                partition by invitation_id
                order by case when is_in_time then 0 else 1 end, seq desc
            ) as standing_score
        from in_time

    ),

    ranked as (

        select
            *,
            is_in_time or (is_eligible and score = standing_score) as may_count,
            row_number() over (
                partition by invitation_id, is_in_time or (is_eligible and score = standing_score)
                order by seq desc
            ) as age
        from standing

    ),

    judged as (

        select
            *,
            case
                when is_voided then 'voided'
                when not is_confirmed then 'provisional_not_confirmed'
                when may_count and age = 1 then 'counted'
                when is_eligible and not may_count then 'too_late'
                else 'superseded'
            end as verdict
        from ranked

    )

    select * from judged
{% endmacro %}

{# Kinds of events that `past_of` reads. #}
{% macro kinds_of_past() -%}
    ('sent', 'rejected', 'suppressed', 'uncertain', 'reconciled', 'delivered', 'clicked', 'answered', 'voided')
{%- endmacro %}

{#
    Every time that somebody was asked by one of `decisions` (sealed asks), or answered one: what rules look at. What is
    doubtful is looked at again with all of its events: answers without a real gesture.
#}
{% macro past_of(decisions, events) %}
    with versions as (

        {{ answer_versions_of(events) }}

    ),

    doubtful as (

        select distinct invitation_id from versions where judged <> 'human'

    ),

    doubtful_events as (

        select events.*
        from {{ events }} as events
        where kind in ('sent', 'uncertain', 'delivered', 'clicked')
            and invitation_id in (select invitation_id from doubtful)

    ),

    hits as (

        {{ hits_of('doubtful_events') }}

    ),

    doubtful_mails as (

        {{ message_events_of('doubtful_events') }}

    ),

    doubtful_states as (

        {{ mail_states_of('doubtful_mails') }}

    ),

    answered_decisions as (

        select decisions.*
        from {{ decisions }} as decisions
        where candidate_id in (select invitation_id from versions)

    ),

    answered_invitations as (

        {{ invitations_of('answered_decisions', 'doubtful_states') }}

    ),

    confirmations as (

        {{ answer_confirmations_of('versions', 'answered_invitations', 'hits', events) }}

    ),

    judged as (

        {{ judged_answers_of('confirmations') }}

    ),

    verdicts as (

        select *
        from (
            {{ message_events_of(events) }}
        ) as message_events
        where kind in ('sent', 'rejected', 'suppressed', 'uncertain', 'pending')

    ),

    states as (

        {{ mail_states_of('verdicts') }}

    ),

    invitations as (

        {{ invitations_of(decisions, 'states') }}

    )

    select
        invitation_id,
        contact_id,
        account_id,
        person_key,
        survey_id,
        'asked' as what,
        {{ asked_at() }} as happened_at,
        delivery_state,
        cast(null as bigint) as score
    from invitations
    where {{ is_asked() }}
    union all
    select
        answered_invitations.invitation_id,
        answered_invitations.contact_id,
        answered_invitations.account_id,
        answered_invitations.person_key,
        answered_invitations.survey_id,
        'answered' as what,
        judged.scored_at as happened_at,
        cast(null as string) as delivery_state,
        judged.score
    from judged
    inner join answered_invitations on answered_invitations.invitation_id = judged.invitation_id
    where judged.verdict = 'counted'
{% endmacro %}

{# Pending, sent and uncertain invitations; rejected and suppressed ones never reached anybody. #}
{% macro is_asked() %}delivery_state in ('pending', 'sent', 'uncertain'){% endmacro %}
{% macro asked_at() %}coalesce(sent_at, uncertain_at, planned_at){% endmacro %}

{# The same of imported answers: a row is a contact, answered or not, on whatever scale. #}
{% macro imported_past_of(imported) %}
    select
        contact_id,
        account_id,
        person_key,
        survey_id,
        'asked' as what,
        contacted_at as happened_at
    from {{ imported }}
    union all
    select
        contact_id,
        account_id,
        person_key,
        survey_id,
        'answered' as what,
        case when scale = '0-10' then submitted_at else contacted_at end as happened_at
    from {{ imported }}
    where score is not null
        and (scale <> '0-10' or (score between 0 and 10 and submitted_at is not null))
{% endmacro %}
