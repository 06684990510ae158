-- Themes that each comment mentions, by keywords; one row per response and theme, '(other)' where none is found.
with responses as (

    select * from {{ ref('int_responses') }} where comment is not null

),

keywords as (

    select * from {{ ref('themes') }}

),

mentions as (

    select distinct
        responses.response_id,
        keywords.theme
    from responses
    inner join keywords on instr(lower(responses.comment), lower(keywords.keyword)) > 0

),

themes as (

    select
        responses.response_id,
        responses.survey_type,
        responses.in_headline,
        responses.category,
        responses.submitted_at,
        coalesce(mentions.theme, '(other)') as theme
    from responses
    left join mentions on mentions.response_id = responses.response_id

)

select * from themes
