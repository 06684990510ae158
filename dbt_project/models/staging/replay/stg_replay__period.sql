-- The days to play through, for a plan or a what-if; no row in a build that publishes.
with source as (

    select * from {{ source('lake', 'replay') }}

),

period as (

    select
        survey_id,
        starts_on,
        ends_on,
        is_alone
    from source

)

select * from period
