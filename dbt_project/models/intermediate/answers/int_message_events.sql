-- What became of each invitation mail; reminders and alerts have their own.
{{ config(materialized='view') }}

with events as (

    select * from {{ ref('stg_ledger__events') }}

),

message_events as (

    {{ message_events_of('events') }}

)

select * from message_events
