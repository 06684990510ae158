-- What an account was at a time. The first version reaches back to the record's creation (or further, when the CRM
-- doesn't say when that was); the last one is open.
with versions as (

    select * from {{ ref('stg_crm__account_versions') }}

),

neighbours as (

    select
        *,
        lag(changed_at) over (partition by account_id order by changed_at) as previous_changed_at,
        lead(changed_at) over (partition by account_id order by changed_at) as next_changed_at
    from versions

),

history as (

    select
        account_id,

        owner_id,
        csm_id,

        tier,
        industry,
        segment,
        region,
        plan,

        contract_value,
        lifetime_value,
        adoption_score,
        coalesce(customer_since, cast(created_at as date)) as customer_since,

        case
            when previous_changed_at is null then least(coalesce(created_at, {{ far_past() }}), changed_at)
            else changed_at
        end as valid_from,
        coalesce(next_changed_at, {{ far_future() }}) as valid_to
    from neighbours

)

select * from history
