with judged as (

    select * from {{ ref('int_judged_answers') }} where verdict <> 'counted'

),

answerers as (

    select * from {{ ref('int_answerers') }}

),

imported as (

    select * from {{ ref('int_imported_answers') }} where score is not null

),

confirmed as (

    select response_id from {{ ref('int_confirmed_answers') }} where is_imported

),

own as (

    select
        judged.invitation_id || ':' || cast(judged.seq as string) as response_id,
        judged.invitation_id,
        answerers.survey_id,
        answerers.contact_id,

        judged.score,
        judged.judged,
        judged.verdict as reason,
        judged.occurred_at as submitted_at
    from judged
    inner join answerers on answerers.invitation_id = judged.invitation_id

),

others as (

    select
        imported.response_id,
        cast(null as string) as invitation_id,
        imported.survey_id,
        imported.contact_id,

        imported.score,
        'imported' as judged,
        case
            when imported.scale <> '0-10' then 'other_scale'
            when imported.submitted_at is null then 'no_time'
            else 'out_of_range'
        end as reason,
        imported.contacted_at as submitted_at
    from imported
    where not exists (
        select 1 from confirmed where confirmed.response_id = imported.response_id
    )

),

candidates as (

    select * from own
    union all
    select * from others

)

select * from candidates
