-- Whom the replay asks: for each person the first candidate that passes, then the first after it that its ask lets
-- pass, and so on, all persons at once. Each decision stands on what the replay itself asked before.
with candidates as (

    select * from {{ ref('int_replay_order') }}

),

asks as (

    {{ greedy_asks('candidates') }}

)

select * from asks
