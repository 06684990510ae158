-- What each contact's latest response changed of its account's health: the newest change planned after it. A later
-- response replaces what an earlier one changed, also when nothing was planned after it.
with actions as (

    select
        invitation_id,
        health_change,
        row_number() over (partition by invitation_id order by seq desc) as age
    from {{ ref('int_answer_actions') }}
    where kind = 'health'

),

responses as (

    select
        response_id,
        contact_id,
        account_id,
        row_number() over (partition by contact_id order by submitted_at desc, response_id) as age
    from {{ ref('int_responses') }}

),

changes as (

    select
        responses.contact_id,
        responses.account_id,
        responses.response_id,
        actions.health_change
    from responses
    inner join actions on actions.invitation_id = responses.response_id and actions.age = 1
    where responses.age = 1

)

select * from changes
