-- Who is on the list of advocates, and since when: put there after a promoter's response, and no other than promoter's
-- responses since.
with actions as (

    select * from {{ ref('int_answer_actions') }} where kind = 'advocate'

),

responses as (

    select * from {{ ref('int_responses') }}

),

latest_others as (

    select
        contact_id,
        max(submitted_at) as submitted_at
    from responses
    where category <> 'promoter'
    group by contact_id

),

advocates as (

    select
        responses.contact_id,
        min(actions.occurred_at) as advocate_since
    from actions
    inner join responses on responses.response_id = actions.invitation_id
    left join latest_others on latest_others.contact_id = responses.contact_id
    where responses.submitted_at > coalesce(latest_others.submitted_at, {{ far_past() }})
    group by responses.contact_id

)

select * from advocates
