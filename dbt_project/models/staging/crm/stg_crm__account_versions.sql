-- Every version of every account that an export brought; deletions have no content and are left out.
with source as (

    {{ crm_versions(source('lake', 'crm_account')) }}

),

ranked as (

    select
        *,
        row_number() over (
            partition by Id, changed_at
            order by _exported_at desc, _ingested_at desc, _row_hash desc
        ) as same_time_rank
    from source
    where changed_at <= as_of
        and not is_deletion

),

typed as (

    select
        Id as account_id,

        {{ text_of('Type') }} as account_type,
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
        {{ safe_date('CustomerSince__c') }} as customer_since,

        {{ safe_timestamp('CreatedDate') }} as created_at,
        changed_at
    from ranked
    where same_time_rank = 1

)

select * from typed
