{# Versions of CRM records as the exports brought them, up to what had happened (as_of) and was known (known_at). #}

{# Every version, with `changed_at` (when it changed in the source) and `is_deletion`. #}
{% macro crm_versions(relation) %}
        select
            versions.*,
            context.as_of,
            versions._op = 'delete' or {{ safe_boolean('versions.IsDeleted') }} as is_deletion,
            case
                when versions._op = 'delete' then versions._exported_at
                else coalesce({{ safe_timestamp('versions.SystemModstamp') }}, versions._exported_at)
            end as changed_at
        from {{ relation }} as versions
        cross join {{ ref('build_context') }} as context
        where versions._ingested_at <= context.known_at
{% endmacro %}

{#
    One row per record: the newest content (a deletion row has none of its own), and whether it is deleted now.
    The newest export says what is true; within one, the later change.
#}
{% macro crm_latest(relation) %}
    select *
    from (
        select
            versions.*,
            row_number() over (
                partition by Id
                order by is_deletion, _exported_at desc, changed_at desc, _ingested_at desc, _row_hash desc
            ) as version_rank,
            first_value(is_deletion) over (
                partition by Id
                order by _exported_at desc, changed_at desc, _ingested_at desc, is_deletion desc, _row_hash desc
            ) as is_deleted
        from ({{ crm_versions(relation) }}) as versions
        where changed_at <= as_of
    ) as ranked
    where version_rank = 1
{% endmacro %}
