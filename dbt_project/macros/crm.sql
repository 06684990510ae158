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
            row_number() over newest as version_rank,
            first_value(is_deletion) over newest as is_deleted,
            count(case when not is_deletion then 1 end) over (
                newest rows between unbounded preceding and current row
            ) as contents_so_far,
            count(case when not is_deletion then 1 end) over (
                newest rows between unbounded preceding and unbounded following
            ) as contents
        from ({{ crm_versions(relation) }}) as versions
        where changed_at <= as_of
        window newest as (
            partition by Id
            order by _exported_at desc, changed_at desc, _ingested_at desc, is_deletion desc, _row_hash desc
        )
    ) as ranked
    where (not is_deletion and contents_so_far = 1)
        or (contents = 0 and version_rank = 1)
{% endmacro %}
