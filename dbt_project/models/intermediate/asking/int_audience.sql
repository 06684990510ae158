-- Of each survey that has a filter: whom it lets in of those who may be asked now.
with candidates as (

    select * from {{ ref('int_candidates') }}

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
