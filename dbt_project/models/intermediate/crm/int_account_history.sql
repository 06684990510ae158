-- What an account was at a time. The first version reaches back to the record's creation (or further, when the CRM
-- doesn't say when that was); the last one is open.
with versions as (

    {{ crm_versions(source('lake', 'crm_account')) }}

),

ordered as (

    select
        *,
        row_number() over (
            partition by Id, changed_at
            order by _exported_at desc, _ingested_at desc, _row_hash desc
        ) as same_time_rank
    from versions
    where not is_deletion
        and changed_at <= as_of

),

bounded as (

    select
        *,
        lag(changed_at) over (partition by Id order by changed_at) as previous_changed_at,
        lead(changed_at) over (partition by Id order by changed_at) as next_changed_at
    from ordered
    where same_time_rank = 1

),

history as (

    select
        Id as account_id,

        {{ text_of('OwnerId') }} as owner_id,
        {{ text_of('CSM__c') }} as csm_id,

        {{ text_of('Tier__c') }} as tier,
        {{ text_of('Industry') }} as industry,
        {{ text_of('Segment__c') }} as segment,
        {{ text_of('Region__c') }} as region,
        {{ text_of('Plan__c') }} as plan,

        {{ safe_number('ContractValue__c') }} as contract_value,
        {{ safe_number('LifetimeValue__c') }} as lifetime_value,
        {{ safe_number('AdoptionScore__c') }} as adoption_score,
        coalesce({{ safe_date('CustomerSince__c') }}, cast({{ safe_timestamp('CreatedDate') }} as date))
            as customer_since,

        case
            when previous_changed_at is null
                then least(coalesce({{ safe_timestamp('CreatedDate') }}, {{ far_past() }}), changed_at)
            else changed_at
        end as valid_from,
        coalesce(next_changed_at, {{ far_future() }}) as valid_to
    from bounded

)

select * from history
