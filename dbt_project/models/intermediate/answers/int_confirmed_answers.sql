-- Every answer that counts: confirmed ones of our own surveys, whether asked for or given on the website, and
-- imported ones on the scale 0-10.
with judged as (

    select * from {{ ref('int_judged_answers') }} where verdict = 'counted'

),

answerers as (

    select * from {{ ref('int_answerers') }}

),

surveys as (

    select * from {{ ref('int_survey_definitions') }}

),

imported as (

    select * from {{ ref('int_imported_answers') }}
    where score between 0 and 10 and scale = '0-10' and submitted_at is not null

),

suspects as (

    select * from {{ ref('int_suspect_scales') }}

),

own as (

    select
        answerers.invitation_id as response_id,
        case when not answerers.is_visitor then answerers.invitation_id end as invitation_id,
        false as is_imported,

        answerers.survey_id,
        surveys.survey_type,
        surveys.in_headline,
        answerers.contact_id,
        answerers.person_key,
        answerers.account_id,

        judged.score,
        judged.comment,
        judged.answers,
        '{}' as attributes,
        judged.channel,

        answerers.trigger_event,
        answerers.trigger_record_id,

        judged.scored_at as submitted_at,
        judged.responded_at,
        answerers.sent_at
    from judged
    inner join answerers on answerers.invitation_id = judged.invitation_id
    left join surveys on surveys.survey_id = answerers.survey_id

),

others as (

    select
        imported.response_id,
        cast(null as string) as invitation_id,
        true as is_imported,

        imported.survey_id,
        imported.survey_type,
        imported.in_headline and suspects.survey_id is null as in_headline,
        imported.contact_id,
        imported.person_key,
        imported.account_id,

        imported.score,
        imported.comment,
        '{}' as answers,
        imported.attributes,
        imported.channel,

        cast(null as string) as trigger_event,
        cast(null as string) as trigger_record_id,

        imported.submitted_at,
        imported.submitted_at as responded_at,
        cast(null as timestamp) as sent_at
    from imported
    left join suspects on suspects.survey_id = imported.survey_id

),

answers as (

    select * from own
    union all
    select * from others

)

select * from answers
