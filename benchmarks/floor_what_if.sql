-- Twelve months of the quarterly survey under another cooldown, written for it alone: it has no filter, no delay, no wave and no
-- hours, and counts over every survey. Variables: as_of, known_at, starts_on, ends_on, cooldown.
create temp table contacts as
select
    *,
    sha256(nullif(lower(trim(email)), '')) as person_key
from (
    select
        Id as contact_id,
        unnest(arg_max({
            'account_id': AccountId, 'email': nullif(trim(Email), ''), 'is_opted_out': HasOptedOutOfEmail = 'true',
            'zone': coalesce(nullif(TimeZone__c, ''), 'UTC'), 'created_at': CreatedDate::timestamp
        }, (_exported_at, SystemModstamp)) filter (_op <> 'delete')),
        arg_max(_op, (_exported_at, SystemModstamp)) = 'delete' as is_deleted
    from lake.crm_contact
    where _ingested_at <= getvariable('known_at')
    group by Id
);

create temp table started as
select contact_id, contacts.account_id, person_key, email, zone,
    timezone(zone, timezone('UTC', created_at))::date as started_on
from contacts
inner join (
    select Id as account_id, arg_max(Type, (_exported_at, SystemModstamp)) as account_type
    from lake.crm_account
    where _ingested_at <= getvariable('known_at')
    group by Id
) using (account_id)
where not is_deleted and lower(coalesce(account_type, 'customer')) like 'customer%';

create temp table midnights as
select zone, day_on, timezone('UTC', timezone(zone, day_on::timestamp)) as begins_at
from (select distinct zone from contacts)
cross join (
    select unnest(generate_series(
        getvariable('starts_on') - 2, getvariable('ends_on') + 2, interval 1 day
    ))::date as day_on
);

create temp table candidates as
select
    md5('quarterly|' || contact_id || '|schedule_quarterly|' || contact_id || '@' || day_on) as candidate_id,
    contact_id, account_id, person_key, email, begins_at as due_at, begins_at::date as due_on
from (
    select *, started_on + (90 * unnest(range(
        greatest(1, (getvariable('starts_on') - 2 - started_on) // 90),
        (getvariable('ends_on') + 2 - started_on) // 90 + 1
    )))::integer as day_on
    from started
)
inner join midnights using (zone, day_on)
where begins_at >= getvariable('starts_on') and begins_at < getvariable('ends_on') + 1;

create temp table decided as
select candidate_id as invitation_id, contact_id, person_key, sealed_at,
    survey_id <> 'quarterly' or sealed_at < getvariable('starts_on') as may_count
from lake.ledger_decisions
inner join lake.ledger_evaluations using (evaluation_id)
where decision = 'ask'
    and as_of <= getvariable('as_of') and sealed_at <= getvariable('known_at')
    and sealed_at > getvariable('starts_on') - to_days(getvariable('cooldown')) - interval 20 day;

-- Who was asked, with all that an answer without a gesture is confirmed by. Nobody is handed a mail later than a fortnight
-- after the seal.
create temp table mails as
select
    invitation_id,
    coalesce(arg_max(kind, seq) filter (kind in ('sent', 'rejected', 'suppressed', 'uncertain')), 'pending') as state,
    coalesce(
        min(occurred_at) filter (kind = 'sent'), min(occurred_at) filter (kind = 'uncertain'), any_value(sealed_at)
    ) as happened_at,
    any_value(contact_id) as contact_id, any_value(person_key) as person_key
from decided
left join (
    select seq, kind, invitation_id, occurred_at
    from lake.ledger_events
    where kind in ('sent', 'rejected', 'suppressed', 'uncertain')
        and occurred_at > getvariable('starts_on') - to_days(getvariable('cooldown')) - interval 20 day
        and occurred_at <= getvariable('as_of') and recorded_at <= getvariable('known_at')
) using (invitation_id)
where may_count
group by invitation_id;

create temp table posted as
select seq, invitation_id, decided.contact_id, person_key, sealed_at, occurred_at,
    (payload ->> '$.judged') = 'human' as is_human, (payload ->> '$.visible_ms')::integer as visible_ms
from lake.ledger_events
inner join decided using (invitation_id)
where kind = 'answered'
    and occurred_at > getvariable('starts_on') - interval 92 day
    and occurred_at <= getvariable('as_of') and recorded_at <= getvariable('known_at');

create temp table answers as
with hits as (
    select
        invitation_id,
        coalesce(min(occurred_at) filter (kind = 'delivered'), min(occurred_at) filter (kind = 'sent')) as reached_at,
        count(distinct (payload ->> '$.score')) filter (kind = 'clicked' and (payload ->> '$.hidden') = 'false') as links,
        count(*) filter (kind = 'clicked' and (payload ->> '$.hidden') = 'true') as traps
    from lake.ledger_events
    where kind in ('sent', 'delivered', 'clicked')
        and invitation_id in (select invitation_id from posted where not is_human)
        and occurred_at <= getvariable('as_of') and recorded_at <= getvariable('known_at')
    group by invitation_id
),

confirmed as (
    select posted.*
    from posted
    left join hits using (invitation_id)
    where is_human or (
        links = 1 and traps = 0 and visible_ms >= 2000
        and epoch(occurred_at) - epoch(coalesce(reached_at, sealed_at)) >= 60
    )
),

eligible as (
    select *, min(occurred_at) over (partition by invitation_id) as first_at
    from (from confirmed qualify is_human or not bool_or(is_human) over (partition by invitation_id))
)

select any_value(contact_id) as contact_id, any_value(person_key) as person_key,
    arg_max(occurred_at, seq)::date as happened_on
from eligible
where occurred_at <= first_at + interval 24 hour
group by invitation_id;

create temp table asked_days as
select distinct unnest([contact_id, person_key]) as key, happened_at::date as happened_on
from mails
where state in ('pending', 'sent', 'uncertain');

create temp table answered_days as
select distinct unnest([contact_id, person_key]) as key, happened_on from answers;

create temp table listed as
select seq, kind, invitation_id, occurred_at, payload
from lake.ledger_events
where kind in ('suppressed_address', 'unsubscribed', 'bounced', 'excluded', 'exclusion_removed')
    and occurred_at <= getvariable('as_of') and recorded_at <= getvariable('known_at');

create temp table suppressed as
select person_key, min(occurred_at)::date as since
from (
    select (payload ->> '$.person_key') as person_key, occurred_at from listed where kind = 'suppressed_address'
    union all
    select person_key, occurred_at
    from lake.ledger_decisions
    inner join (
        from listed where kind = 'unsubscribed' or (kind = 'bounced' and (payload ->> '$.hard') = 'true')
    ) on invitation_id = candidate_id
)
where person_key is not null
group by person_key;

create temp table excluded as
select (payload ->> '$.subject_id') as subject_id, occurred_at::date as begins_on,
    least(
        coalesce((payload ->> '$.until')::timestamptz at time zone 'UTC', 'infinity'), coalesce(next_at, 'infinity')
    ) as ends_at
from (
    select *, lead(occurred_at) over (partition by (payload ->> '$.subject_id') order by seq) as next_at
    from listed
    where kind in ('excluded', 'exclusion_removed')
)
where kind = 'excluded';

create temp table judged as
select
    candidates.*,
    case
        when coalesce(email, '') not like '%_@_%' then 'no_address'
        when exists (
            from excluded
            where subject_id = contact_id and begins_on <= due_on and ends_at > due_on
        ) or exists (
            from excluded
            where subject_id = account_id and begins_on <= due_on and ends_at > due_on
        ) then 'excluded'
        when candidates.person_key in (select person_key from contacts where is_opted_out and person_key is not null)
            then 'opted_out'
        when suppressed.since <= due_on then 'suppressed'
        when exists (
            from asked_days
            where key = contact_id and happened_on <= due_on and happened_on > due_on - getvariable('cooldown')
        ) or exists (
            from asked_days
            where key = candidates.person_key
                and happened_on <= due_on and happened_on > due_on - getvariable('cooldown')
        ) then 'cooldown'
        when exists (
            from answered_days where key = contact_id and happened_on <= due_on and happened_on > due_on - 90
        ) or exists (
            from answered_days
            where key = candidates.person_key and happened_on <= due_on and happened_on > due_on - 90
        ) then 'recent_response'
    end as rule
from candidates
left join suppressed using (person_key);

create table decisions as
with asked as (
    select person_key, list_reduce(
        list([due_on] order by due_on),
        lambda days, day: case when day[1] - days[-1] >= getvariable('cooldown') then days || day else days end
    ) as days
    from judged
    where rule is null
    group by person_key
),

placed as (
    select judged.*, days,
        rule is null and list_contains(days, due_on)
        and row_number() over (partition by person_key, due_on, rule is null order by due_at, candidate_id) = 1 as is_asked
    from judged
    left join asked using (person_key)
)

select
    candidate_id,
    case when is_asked then 'ask' else 'skip' end as decision,
    case
        when rule <> 'recent_response' then rule
        when is_asked then 'passed'
        when len(list_filter(days, lambda day: day < due_on and due_on - day < getvariable('cooldown'))) > 0 then 'cooldown'
        else coalesce(rule, 'one_per_wave')
    end as deciding_rule,
    due_on as decided_on
from placed;
