-- Which posted answers are a person's. Provisional ones (no real input was seen) are confirmed by what the mail's
-- links and the page tell. Can be re-run over all raw hits with other settings (vars confirm_*).
{{ config(materialized='view') }}

with versions as (

    select * from {{ ref('int_answer_versions') }}

),

answerers as (

    select * from {{ ref('int_answerers') }}

),

hits as (

    select * from {{ ref('int_hits') }}

),

events as (

    select * from {{ ref('stg_ledger__events') }}

),

confirmed as (

    {{ answer_confirmations_of('versions', 'answerers', 'hits', 'events') }}

)

select * from confirmed
