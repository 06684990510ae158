-- Who was really asked and who answered, as days, as far as a replay may look back: the asks of the survey that is
-- played through are left out from its first day on (the replay has its own), alone those of all others too.
{{ config(materialized='view') }}

with history as (

    select * from {{ ref('int_replay_past') }}

),

period as (

    select * from {{ ref('stg_replay__period') }}

),

rests as (

    select greatest(cooldown_days, skip_after_response_days) as days from {{ ref('int_survey_triggers') }}
    union all
    select at_most_every_days from {{ ref('int_wish_periods') }} where survey_id = 'all'

),

looked_back as (

    select max(days) as days from rests

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
    inner join looked_back
        on cast(history.happened_at as date) > {{ date_plus('period.starts_on', '-looked_back.days') }}

)

select * from days
