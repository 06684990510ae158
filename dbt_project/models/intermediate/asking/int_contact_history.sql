-- Every time a person was asked or answered: what cooldown and recent response look at. Reminders never count.
with invitations as (

    select * from {{ ref('int_invitations') }}

),

imported as (

    select * from {{ ref('int_imported_answers') }}

),

responses as (

    select * from {{ ref('int_confirmed_answers') }}

),

asked as (

    -- Pending, sent and uncertain invitations; rejected and suppressed ones never reached anybody.
    select
        contact_id,
        account_id,
        person_key,
        survey_id,
        'asked' as what,
        coalesce(sent_at, uncertain_at, planned_at) as happened_at
    from invitations
    where delivery_state in ('pending', 'sent', 'uncertain')

),

imported_contacts as (

    -- An imported row is a contact, answered or not.
    select
        contact_id,
        account_id,
        person_key,
        survey_id,
        'asked' as what,
        contacted_at as happened_at
    from imported

),

answered as (

    select
        contact_id,
        account_id,
        person_key,
        survey_id,
        'answered' as what,
        submitted_at as happened_at
    from responses

),

answered_otherwise as (

    -- An answer on another scale is no number of ours, but this person has answered.
    select
        contact_id,
        account_id,
        person_key,
        survey_id,
        'answered' as what,
        contacted_at as happened_at
    from imported
    where score is not null
        and scale <> '0-10'

),

history as (

    select * from asked
    union all
    select * from imported_contacts
    union all
    select * from answered
    union all
    select * from answered_otherwise

)

select * from history
