-- No more than one answer of an invitation counts, and every counted one is in fct_responses.
with counted as (

    select
        invitation_id,
        count(*) as answers
    from {{ ref('int_judged_answers') }}
    where verdict = 'counted'
    group by invitation_id

),

responses as (

    select * from {{ ref('fct_responses') }}

),

wrong as (

    select counted.invitation_id
    from counted
    left join responses on responses.response_id = counted.invitation_id
    where counted.answers > 1
        or responses.response_id is null

)

select * from wrong
