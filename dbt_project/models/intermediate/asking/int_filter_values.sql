-- The value of each field that some filter or sample looks at, as text: one row per contact or account and field; no
-- row, or null, is empty. A field of the CRM that no export ever brought has no row at all.
with used as (

    select subject, field from {{ ref('int_filter_terms') }}
    union
    select
        substr(sample_by, 1, 7) as subject,
        substr(sample_by, 9) as field
    from {{ ref('int_survey_waits') }}
    where sample_by is not null

),

people as (

    select * from {{ ref('int_people') }}

),

accounts as (

    select * from {{ ref('stg_crm__account') }}

),

account_facts as (

    select * from {{ ref('int_account_facts') }}

),

versions as (

    select
        *,
        row_number() over (partition by object, field, record_id order by changed_at desc) as age
    from {{ ref('stg_crm__field_versions') }}

),

field_values as (

    select
        used.subject, people.contact_id as subject_id, used.field,
        {{ field_value('contact', 'used.field') }} as value
    from people
    inner join used
        on used.subject = 'contact'
        and used.field in ('{{ filter_fields('contact') | join("', '") }}')
    union all
    select used.subject, accounts.account_id, used.field, {{ field_value('account', 'used.field') }}
    from accounts
    inner join used
        on used.subject = 'account'
        and used.field in ('{{ filter_fields('account') | join("', '") }}')
    left join account_facts
        on account_facts.account_id = accounts.account_id
        and {{ is_used("'account'", 'int_filter_terms', 'subject', counts_of_account()) }}
    union all
    select used.subject, versions.record_id, used.field, versions.value
    from versions
    inner join used on used.subject = versions.object and used.field = versions.field
    where versions.age = 1

)

select * from field_values
