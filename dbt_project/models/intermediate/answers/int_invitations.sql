-- One row per sealed ask, with what the sender knows of it.
with decisions as (

    select * from {{ ref('int_sealed_decisions') }} where decision = 'ask'

),

message_events as (

    select * from {{ ref('int_message_events') }}

),

states as (

    {{ mail_states_of('message_events') }}

),

invitations as (

    {{ invitations_of('decisions', 'states') }}

)

select * from invitations
