-- Whom a record is about, for each record of which a watched field ever changed.
{{ config(materialized='view') }}

with changed as (

    select distinct
        object,
        record_id
    from {{ ref('int_field_changes') }}

),

records as (

    select
        'account' as object,
        account_id as record_id,
        cast(null as string) as contact_id,
        account_id as account_id
    from {{ ref('stg_crm__account') }}
    where not is_deleted
    union all
    select 'contact', contact_id, contact_id, account_id from {{ ref('stg_crm__contact') }} where not is_deleted
    union all
    select 'opportunity', opportunity_id, null, account_id from {{ ref('stg_crm__opportunity') }} where not is_deleted
    union all
    select 'project', project_id, null, account_id from {{ ref('stg_crm__project') }} where not is_deleted
    union all
    select 'order', order_id, contact_id, account_id from {{ ref('stg_crm__order') }} where not is_deleted
    union all
    select 'contract', contract_id, null, account_id from {{ ref('stg_crm__contract') }} where not is_deleted
    union all
    select 'task', task_id, contact_id, account_id from {{ ref('stg_crm__task') }} where not is_deleted
    union all
    select 'case', case_id, contact_id, account_id from {{ ref('stg_crm__case') }} where not is_deleted
    union all
    select 'asset', asset_id, contact_id, account_id from {{ ref('stg_crm__asset') }} where not is_deleted
    union all
    select 'adoption', adoption_id, null, account_id from {{ ref('stg_crm__adoption') }} where not is_deleted
    union all
    select 'sign_up', sign_up_id, contact_id, null from {{ ref('stg_crm__sign_up') }} where not is_deleted
    union all
    select 'lead', lead_id, coalesce(converted_contact_id, lead_id), null
    from {{ ref('stg_crm__lead') }} where not is_deleted

),

owners as (

    select records.*
    from records
    inner join changed on changed.object = records.object and changed.record_id = records.record_id

)

select * from owners
