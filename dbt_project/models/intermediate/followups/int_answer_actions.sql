-- What was planned after an answer about the health of its account and the list of advocates. An action has the name of
-- its workflow in front ('detractor.health'), and may have a name of its own behind ('detractor.health-key').
with events as (

    select * from {{ ref('stg_ledger__events') }} where kind = 'action'

),

parsed as (

    select
        seq,
        invitation_id,
        occurred_at,
        {{ json_text('payload', "'$.action'") }} as action,
        {{ json_text('payload', "'$.state'") }} as state,
        {{ safe_number(json_text('payload', "'$.change'")) }} as health_change
    from events

),

planned as (

    select
        seq,
        invitation_id,
        occurred_at,
        case
            when action = 'health' or action like '%.health' or action like '%.health-%' then 'health'
            when action = 'advocate' or action like '%.advocate' or action like '%.advocate-%' then 'advocate'
        end as kind,
        health_change
    from parsed
    where state = 'planned'

),

actions as (

    select * from planned where kind = 'advocate' or (kind = 'health' and health_change is not null)

)

select * from actions
