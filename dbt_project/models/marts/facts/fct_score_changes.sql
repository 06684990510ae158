with sequence as (

    select * from {{ ref('int_response_sequence') }} where previous_response_id is not null

),

followups as (

    select * from {{ ref('fct_followups') }} where status <> 'not_tracked'

),

changes as (

    select
        sequence.response_id,
        sequence.previous_response_id,

        sequence.survey_type,
        sequence.survey_id,
        sequence.previous_survey_id,
        sequence.contact_id,
        sequence.account_id,

        sequence.previous_submitted_at,
        sequence.submitted_at,
        cast({{ days_between('sequence.previous_submitted_at', 'sequence.submitted_at') }} as bigint) as days_between,

        sequence.previous_score,
        sequence.score,
        sequence.score - sequence.previous_score as score_change,
        sequence.previous_category,
        sequence.category,
        sequence.previous_category || '>' || sequence.category as path,

        -- A contact that came after the newer answer cannot have moved it.
        case
            when followups.response_id is not null
                then coalesce(followups.first_contact_at < sequence.submitted_at, false)
        end as previous_followed_up,
        case
            when followups.response_id is not null
                then coalesce(followups.within_sla and followups.first_contact_at < sequence.submitted_at, false)
        end as previous_contacted_within_sla,

        sequence.owner_id_at_response,
        sequence.team_at_response,
        sequence.tier,
        sequence.contract_value
    from sequence
    left join followups on followups.response_id = sequence.previous_response_id

)

select * from changes
