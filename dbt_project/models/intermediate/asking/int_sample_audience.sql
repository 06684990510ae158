-- Of each survey that has a filter and asks a sample: whom it lets in of all who are due, decided or not.
with due as (

    select * from {{ ref('int_sample_due') }}

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

    {{ audience_of('due') }}

)

select * from audience
