-- How many of each stratum must be asked, so that the interval of its answers gets as narrow as the survey wants: the
-- answers needed (n = z^2 v / m^2 - 3, adjusted Wald) over the share that answers. Variance and response rate are
-- those of the survey's own past in the stratum where it has enough of it (30 answers, 100 surveys sent), else 2/3 and
-- the rate that the programme expects.
with waits as (

    select * from {{ ref('int_survey_waits') }} where sample_by is not null

),

field_values as (

    select * from {{ ref('int_filter_values') }}

),

invitations as (

    select * from {{ ref('int_sample_past') }} where what = 'asked' and delivery_state = 'sent'

),

answers as (

    select
        invitation_id,
        {{ nps_category('score') }} as category
    from {{ ref('int_sample_past') }}
    where what = 'answered' and invitation_id is not null

),

strata as (

    select distinct
        waits.survey_id,
        coalesce(field_values.value, '(none)') as stratum
    from waits
    inner join field_values
        on field_values.subject || '.' || field_values.field = waits.sample_by

),

past as (

    select
        invitations.survey_id,
        coalesce(field_values.value, '(none)') as stratum,
        count(*) as sent,
        count(answers.invitation_id) as answered,
        cast(sum(case when answers.category = 'promoter' then 1 else 0 end) as bigint) as promoters,
        cast(sum(case when answers.category = 'detractor' then 1 else 0 end) as bigint) as detractors
    from invitations
    inner join waits on waits.survey_id = invitations.survey_id
    left join field_values
        on field_values.subject || '.' || field_values.field = waits.sample_by
        and field_values.subject_id = case
            when waits.sample_by like 'contact.%' then invitations.contact_id
            else invitations.account_id
        end
    left join answers on answers.invitation_id = invitations.invitation_id
    group by invitations.survey_id, coalesce(field_values.value, '(none)')

),

expected as (

    select
        strata.survey_id,
        strata.stratum,
        waits.sample_half_width / 100.0 as half_width,
        case
            when past.answered >= 30 then {{ nps_variance('past.promoters', 'past.detractors', 'past.answered') }}
            else 2.0 / 3
        end as variance,
        case
            when past.sent >= 100 and past.answered > 0 then past.answered / cast(past.sent as double)
            else waits.sample_response_rate
        end as response_rate
    from strata
    inner join waits on waits.survey_id = strata.survey_id
    left join past on past.survey_id = strata.survey_id and past.stratum = strata.stratum

),

needs as (

    select
        survey_id,
        stratum,
        response_rate,
        greatest(
            1, ceil((1.959964 * 1.959964 * variance / (half_width * half_width) - 3) / response_rate)
        ) as asks_needed
    from expected

)

select * from needs
