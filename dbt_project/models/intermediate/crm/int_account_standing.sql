-- How an account stands with us: its latest response, and what the latest ones of its contacts changed of its health.
with responses as (

    select
        account_id,
        score,
        category,
        submitted_at,
        row_number() over (partition by account_id order by submitted_at desc, response_id) as age,
        count(*) over (partition by account_id) as responses
    from {{ ref('int_responses') }}
    where account_id is not null

),

changes as (

    select
        account_id,
        round(cast(sum(health_change) as double), 6) as health_change
    from {{ ref('int_health_changes') }}
    group by account_id

),

standing as (

    select
        responses.account_id,
        responses.score as last_score,
        responses.category as last_category,
        responses.submitted_at as last_response_at,
        responses.responses as nps_responses,
        coalesce(changes.health_change, 0) as health_change
    from responses
    left join changes on changes.account_id = responses.account_id
    where responses.age = 1

)

select * from standing
