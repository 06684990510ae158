-- Every answer that counts: confirmed ones of our own surveys, and imported ones on the scale 0-10.
with judged as (

    select * from {{ ref('int_judged_answers') }} where verdict = 'counted'

),

invitations as (

    select * from {{ ref('int_invitations') }}

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
        invitations.invitation_id as response_id,
        invitations.invitation_id,
        false as is_imported,

        invitations.survey_id,
        surveys.survey_type,
        surveys.in_headline,
        invitations.contact_id,
        invitations.person_key,
        invitations.account_id,

        judged.score,
        judged.comment,
        judged.answers,
        '{}' as attributes,
        judged.channel,

        invitations.trigger_event,
        invitations.trigger_record_id,

        judged.scored_at as submitted_at,
        judged.responded_at,
        invitations.sent_at
    from judged
    inner join invitations on invitations.invitation_id = judged.invitation_id
    left join surveys on surveys.survey_id = invitations.survey_id

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
