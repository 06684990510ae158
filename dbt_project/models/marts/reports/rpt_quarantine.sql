with quarantine as (

    select * from {{ ref('stg_quarantine__rows') }}

)

select * from quarantine
