-- Raw hits of each invitation's links: people and mail scanners alike.
with events as (

    select * from {{ ref('stg_ledger__events') }}

),

hits as (

    {{ hits_of('events') }}

)

select * from hits
