-- The filters of active surveys as rows: a survey lets a contact in when of some clause all conditions hold. One row
-- per value of a condition; one without values asks whether the field is empty.
with surveys as (

    select * from {{ ref('int_survey_definitions') }} where status = 'active'

),

positions as (

    select * from {{ ref('int_numbers') }}

),

clauses as (

    select
        surveys.survey_id,
        positions.n as clause,
        {{ json_text('surveys.definition', "'$.audience.clauses[' || cast(positions.n as string) || ']'") }}
            as clause_json
    from surveys
    inner join positions on positions.n < 64

),

conditions as (

    select
        clauses.survey_id,
        clauses.clause,
        positions.n as condition,
        {{ json_text('clauses.clause_json', "'$[' || cast(positions.n as string) || ']'") }} as condition_json
    from clauses
    inner join positions on positions.n < 300
    where clauses.clause_json is not null

),

parsed as (

    select
        survey_id,
        clause,
        condition,
        {{ json_text('condition_json', "'$.subject'") }} as subject,
        {{ json_text('condition_json', "'$.field'") }} as field,
        {{ json_text('condition_json', "'$.operator'") }} as operator,
        {{ json_text('condition_json', "'$.kind'") }} as kind,
        {{ safe_boolean(json_text('condition_json', "'$.negated'")) }} as is_negated,
        condition_json
    from conditions
    where condition_json is not null

),

terms as (

    select
        parsed.survey_id,
        parsed.clause,
        parsed.condition,
        parsed.subject,
        lower(parsed.field) as field,
        parsed.operator,
        parsed.kind,
        parsed.is_negated,
        {{ json_text('parsed.condition_json', "'$.values[' || cast(positions.n as string) || ']'") }} as value
    from parsed
    cross join positions
    where positions.n = 0
        or {{ json_text('parsed.condition_json', "'$.values[' || cast(positions.n as string) || ']'") }} is not null

)

select * from terms
