-- Asks and skips of the evaluations that stand.
{{ config(materialized='view') }}

with decisions as (

    select * from {{ ref('stg_ledger__decisions') }}

),

evaluations as (

    select * from {{ ref('stg_ledger__evaluations') }}

),

sealed as (

    select
        decisions.*,
        evaluations.sealed_at
    from decisions
    inner join evaluations on evaluations.evaluation_id = decisions.evaluation_id

)

select * from sealed
