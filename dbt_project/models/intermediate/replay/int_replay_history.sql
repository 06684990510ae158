-- Who was really asked and who answered, as days, as far as a replay may look back: the asks of the survey that is
-- played through are left out from its first day on (the replay has its own), alone those of all others too.
with imported as (

    select * from {{ ref('int_imported_answers') }}

),

period as (

    select * from {{ ref('stg_replay__period') }}

),

asks as (

    select
        sealed.*,
        period.survey_id is null
        or sealed.sealed_at < cast(period.starts_on as timestamp)
        or (period.survey_id <> sealed.survey_id and not period.is_alone) as may_count
    from {{ ref('int_sealed_decisions') }} as sealed
    inner join period on sealed.decision = 'ask'

),

events as (

    select events.*
    from {{ ref('stg_ledger__events') }} as events
    where invitation_id in (select candidate_id from asks)

),

past as (

    {{ past_of('asks', 'events', counts='may_count') }}

),

imported_past as (

    {{ imported_past_of('imported') }}

),

history as (

    select contact_id, person_key, survey_id, what, happened_at from past
    union all
    select contact_id, person_key, survey_id, what, happened_at from imported_past

),

days as (

    select
        history.contact_id,
        history.person_key,
        history.survey_id,
        history.what,
        cast(history.happened_at as date) as happened_on
    from history
    inner join period
        on history.what = 'answered'
        or cast(history.happened_at as date) < period.starts_on
        or period.survey_id is null
        or (period.survey_id <> history.survey_id and not period.is_alone)

)

select * from days
