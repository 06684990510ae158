-- The rules that weigh the candidates of one evaluation against each other: one mail a person, the survey of the
-- lowest priority number first, then what was due first; and so many an account. Who waits for another day takes
-- nobody's place.
with rules as (

    select * from {{ ref('int_candidate_rules') }}

),

sealed as (

    select *
    from {{ ref('int_sealed_decisions') }}
    where decision = 'ask'
        and wave_id in (select wave_id from {{ ref('int_candidate_rules') }})

),

account_asks as (

    select * from {{ ref('int_account_asks') }}

),

asked_before as (

    -- A wave is a survey's day: an earlier evaluation of that day may have asked the person, this contact or another
    -- one of the same address (with a cooldown of 0).
    select wave_id, contact_id as person_id from sealed
    union
    select wave_id, person_key from sealed where person_key is not null

),

screened as (

    select
        rules.*,
        coalesce(asked_contact.person_id, asked_address.person_id) is not null as is_in_wave,
        coalesce(asked_contact.person_id, asked_address.person_id) is null and not (
            {%- for rule in rules_alone() %}
            fails_{{ rule }}{{ ' or' if not loop.last }}
            {%- endfor %}
        ) as passes_alone
    from rules
    left join asked_before as asked_contact
        on asked_contact.wave_id = rules.wave_id
        and asked_contact.person_id = rules.contact_id
    left join asked_before as asked_address
        on asked_address.wave_id = rules.wave_id
        and asked_address.person_id = rules.person_key

),

ranked as (

    select
        *,
        passes_alone and not waits_wave_slot and not waits_business_hours as may_be_asked,
        row_number() over (
            partition by person_key, passes_alone and not waits_wave_slot and not waits_business_hours
            order by priority, due_at, candidate_id
        ) as place
    from screened

),

capped as (

    select
        ranked.*,
        coalesce(account_asks.asks, 0) + row_number() over (
            partition by ranked.asked_account_id, ranked.may_be_asked and ranked.place = 1
            order by ranked.priority, ranked.due_at, ranked.candidate_id
        ) as asks_of_account
    from ranked
    left join account_asks
        on account_asks.survey_id = ranked.survey_id
        and account_asks.account_id = ranked.asked_account_id

),

places as (

    select
        *,
        coalesce(
            may_be_asked and place = 1 and asked_account_id is not null and asks_of_account > cap_invitations, false
        ) as fails_account_cap,
        is_in_wave or (may_be_asked and place > 1) as fails_one_per_wave
    from capped

)

select * from places
