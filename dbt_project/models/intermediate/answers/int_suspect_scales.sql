-- Surveys whose imported answers look like another scale: so many in a row and none above 5.
with answers as (

    select * from {{ ref('int_imported_answers') }}
    where score is not null and scale = '0-10' and submitted_at is not null

),

runs as (

    select
        survey_id,
        max(score) over run as highest,
        count(*) over run as answers
    from answers
    window run as (
        partition by survey_id
        order by submitted_at, response_id
        rows between {{ var('suspect_scale_run') - 1 }} preceding and current row
    )

),

suspects as (

    select distinct survey_id
    from runs
    where answers = {{ var('suspect_scale_run') }}
        and highest <= 5

)

select * from suspects
