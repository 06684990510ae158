-- Which answers count under three ways to tell people from machines: 'strict' takes only those with a real gesture,
-- 'standard' what the rule confirms too (vars confirm_*), 'lenient' every one. Which score of a person stands is the
-- same rule in all three.
{% set judgements = {
    'strict': "judged = 'human'",
    'standard': 'is_confirmed',
    'lenient': 'true',
} %}
with confirmations as (

    select * from {{ ref('int_answer_confirmations') }}

),

{% for judgement, is_confirmed in judgements.items() %}
{{ judgement }}_confirmations as (

    select
        seq,
        invitation_id,
        occurred_at,
        scored_at,
        score,
        judged,
        is_voided,
        {{ is_confirmed }} as is_confirmed
    from confirmations

),

{{ judgement }} as (

    {{ judged_answers_of(judgement ~ '_confirmations') }}

),

{% endfor %}
judgements as (

    {% for judgement in judgements %}
    select
        '{{ judgement }}' as judgement,
        invitation_id,
        score,
        scored_at
    from {{ judgement }}
    where verdict = 'counted'
    {{ 'union all' if not loop.last }}
    {% endfor %}

)

select * from judgements
