-- "Milestone reached": a watched field changed, to anything or to one of the values that count.
{{ config(materialized='view') }}

with changes as (

    select * from {{ ref('int_field_changes') }}

),

kinds as (

    select
        trigger_key,
        {{ json_text('trigger_json', "'$.object'") }} as object,
        lower({{ json_text('trigger_json', "'$.field'") }}) as field,
        trigger_json
    from {{ ref('int_trigger_kinds') }}
    where trigger_event = 'field_changed'

),

positions as (

    select * from {{ ref('int_numbers') }} where n < 50

),

wanted as (

    select distinct
        kinds.trigger_key,
        kinds.object,
        kinds.field,
        {{ json_text('kinds.trigger_json', "'$.to[' || cast(positions.n as string) || ']'") }} as value
    from kinds
    cross join positions
    where positions.n = 0
        or {{ json_text('kinds.trigger_json', "'$.to[' || cast(positions.n as string) || ']'") }} is not null

),

owners as (

    select * from {{ ref('int_record_owners') }}

),

events as (

    select
        'field_changed' as trigger_event,
        wanted.trigger_key,
        changes.object || ':' || changes.record_id || ':' || changes.field || '@' || cast(changes.changed_at as string)
            as trigger_record_id,
        owners.contact_id,
        owners.account_id,
        changes.changed_at as occurred_at
    from changes
    inner join wanted
        on wanted.object = changes.object
        and wanted.field = changes.field
        and coalesce(wanted.value, changes.value) = changes.value
    inner join owners on owners.object = changes.object and owners.record_id = changes.record_id

)

select * from events
