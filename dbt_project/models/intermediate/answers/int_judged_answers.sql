-- Which answers count: human ones go before provisional ones, and the last score within 24 hours counts.
with confirmations as (

    select * from {{ ref('int_answer_confirmations') }}

),

judged as (

    {{ judged_answers_of('confirmations') }}

)

select * from judged
