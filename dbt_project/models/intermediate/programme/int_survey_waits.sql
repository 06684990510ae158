-- What makes the asks of each active survey wait or be fewer: waves, samples, business hours, caps. Null where it has
-- none.
with surveys as (

    select * from {{ ref('int_survey_definitions') }} where status = 'active'

),

waits as (

    select
        survey_id,

        cast({{ safe_number(json_text('definition', "'$.wave.spread_days'")) }} as bigint) as spread_days,

        {{ json_text('definition', "'$.sample.by'") }} as sample_by,
        {{ safe_number(json_text('definition', "'$.sample.half_width'")) }} as sample_half_width,
        {{ json_text('definition', "'$.sample.seed'") }} as sample_seed,
        {{ safe_number(json_text('definition', "'$.sample.response_rate'")) }} as sample_response_rate,

        cast({{ safe_number(json_text('definition', "'$.account_cap.invitations'")) }} as bigint) as cap_invitations,
        cast({{ safe_number(json_text('definition', "'$.account_cap.days'")) }} as bigint) as cap_days,

        {{ json_text('definition', "'$.business_hours.opens'") }} as opens,
        {{ json_text('definition', "'$.business_hours.closes'") }} as closes,
        {{ json_text('definition', "'$.business_hours.days'") }} as open_weekdays,
        {{ json_text('definition', "'$.business_hours.holidays'") }} as holidays,
        {{ json_text('definition', "'$.business_hours.time_zone'") }} as fallback_zone
    from surveys

)

select * from waits
