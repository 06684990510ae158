-- Every answer that was posted: a score, a change of it, a comment added to it. `scored_at` is the time of its score.
{{ config(materialized='view') }}

with events as (

    select * from {{ ref('stg_ledger__events') }}

),

versions as (

    {{ answer_versions_of('events') }}

)

select * from versions
