with publications as (

    select * from {{ ref('stg_ledger__publications') }}

),

audit as (

    select
        publication_id,
        build_id,

        as_of,
        known_at,
        definitions_hash,
        code_version,

        checks_passed,
        published_at
    from publications

)

select * from audit
