-- The one row that says what this build takes for now. No model reads the clock.
select
    build_id,
    as_of,
    known_at,
    definitions_hash,
    code_version
from {{ source('lake', 'build_context') }}
