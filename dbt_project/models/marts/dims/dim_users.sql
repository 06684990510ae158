with users as (

    select * from {{ ref('stg_crm__user') }}

),

dimension as (

    select
        user_id,
        user_name,
        email,
        manager_id,

        region,
        team,

        is_active and not is_deleted as is_active
    from users

)

select * from dimension
