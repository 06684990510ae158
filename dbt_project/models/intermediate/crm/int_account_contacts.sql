-- The contacts of each account; place 1 is the one to ask where a record names nobody: the primary one, else the
-- first.
with contacts as (

    select * from {{ ref('stg_crm__contact') }} where not is_deleted and account_id is not null

),

placed as (

    select
        account_id,
        contact_id,
        row_number() over (
            partition by account_id
            order by case when is_primary then 0 else 1 end, contact_id
        ) as place
    from contacts

)

select * from placed
