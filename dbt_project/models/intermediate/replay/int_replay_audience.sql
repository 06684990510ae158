-- Of each survey that has a filter: whom it lets in of the candidates of a replay.
with candidates as (

    select * from {{ ref('int_replay_candidates') }}

),

people as (

    select * from {{ ref('int_people') }}

),

terms as (

    select * from {{ ref('int_filter_terms') }}

),

field_values as (

    select * from {{ ref('int_filter_values') }}

),

audience as (

    {{ audience_of('candidates') }}

)

select * from audience
