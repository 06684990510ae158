-- One evaluation of the five programmes of this folder, as one would write it for them alone: no table is read for what they
-- do not ask, nothing is kept for reports, and each cooldown is a number. Variables: as_of, known_at.
create temp table contacts as
select
    *,
    sha256(nullif(lower(trim(email)), '')) as person_key
from (
    select
        Id as contact_id,
        unnest(arg_max({
            'account_id': AccountId, 'email': nullif(trim(Email), ''), 'role': Role__c,
            'is_primary': IsPrimary__c = 'true', 'is_opted_out': HasOptedOutOfEmail = 'true',
            'zone': coalesce(nullif(TimeZone__c, ''), 'UTC'), 'created_at': CreatedDate::timestamp
        }, (_exported_at, SystemModstamp)) filter (_op <> 'delete')),
        arg_max(_op, (_exported_at, SystemModstamp)) = 'delete' as is_deleted
    from lake.crm_contact
    where _ingested_at <= getvariable('known_at')
    group by Id
);

create temp table accounts as
select
    Id as account_id,
    unnest(arg_max({
        'tier': Tier__c, 'is_customer': lower(coalesce(Type, 'customer')) like 'customer%',
        'started_on': coalesce(CustomerSince__c::date, CreatedDate::date)
    }, (_exported_at, SystemModstamp)))
from lake.crm_account
where _ingested_at <= getvariable('known_at')
group by Id;

create temp table primary_contacts as
select account_id, arg_min(contact_id, (not is_primary, contact_id)) as contact_id
from contacts
where not is_deleted
group by account_id;

create temp table midnights as
select zone, day_on, timezone('UTC', timezone(zone, day_on::timestamp)) as begins_at
from (select distinct zone from contacts)
cross join (
    select unnest(generate_series(date '2024-05-01', getvariable('as_of')::date + 2, interval 1 day))::date as day_on
);

create temp table started as
select contact_id, contacts.account_id, zone, timezone(zone, timezone('UTC', created_at))::date as started_on
from contacts
inner join accounts using (account_id)
where not is_deleted and is_customer;

create temp table decided as
select survey_id, trigger_record_id, decision, candidate_id, contact_id, person_key, sealed_at
from lake.ledger_decisions
inner join lake.ledger_evaluations using (evaluation_id)
where as_of <= getvariable('as_of') and sealed_at <= getvariable('known_at');

create temp table candidates as
with surveys(survey_id, event, priority, cooldown, rest_days) as (
    values ('after-deal', 'deal_won', 10, 90, 90), ('after-ticket', 'ticket_resolved', 20, 30, 30),
           ('anniversary', 'customer_anniversary', 30, 180, 90), ('after-order', 'purchase', 40, 30, 90),
           ('quarterly', 'schedule_quarterly', 50, 90, 90)
),

occasions as (
    select 'after-deal' as survey_id, deal_id as trigger_record_id, account_id, role_contact_id as contact_id,
        close_date + interval 3 day as due_at
    from (
        select Id as deal_id, unnest(arg_max(
            {'account_id': AccountId, 'is_won': IsWon, 'close_date': CloseDate::timestamp}, (_exported_at, SystemModstamp)
        ))
        from lake.crm_opportunity
        group by Id
    )
    left join (
        select OpportunityId, min(ContactId) as role_contact_id
        from lake.crm_opportunity_contact_role
        where IsPrimary = 'true'
        group by OpportunityId
    ) on OpportunityId = deal_id
    where is_won = 'true'
    union all
    select 'after-ticket', case_id, account_id, contact_id, (closed::timestamptz at time zone 'UTC') + interval 1 day
    from (
        select Id as case_id, unnest(arg_max({
            'account_id': AccountId, 'contact_id': ContactId, 'is_closed': IsClosed, 'closed': ClosedDate
        }, (_exported_at, SystemModstamp)))
        from lake.crm_case
        group by Id
    )
    where is_closed = 'true'
    union all
    select 'after-order', Id, AccountId, BillToContactId, EffectiveDate::timestamp + interval 2 day
    from lake.crm_order
    union all
    select 'anniversary', account_id || '@12m', account_id, contact_id, begins_at
    from (
        select account_id, contact_id, zone, (started_on + interval 12 month)::date as day_on
        from accounts
        inner join primary_contacts using (account_id)
        inner join (select contact_id, zone from contacts) using (contact_id)
        where is_customer
    )
    inner join midnights using (zone, day_on)
    union all
    select 'quarterly', contact_id || '@' || day_on, account_id, contact_id, begins_at
    from (
        select contact_id, account_id, zone, started_on + (90 * unnest(range(
            greatest(1, (date '2024-05-01' - started_on) // 90),
            (getvariable('as_of')::date + 1 - started_on) // 90 + 1
        )))::integer as day_on
        from started
    )
    inner join midnights using (zone, day_on)
)

select
    md5(survey_id || '|' || contact_id || '|' || event || '|' || trigger_record_id) as candidate_id,
    contact_id, survey_id, priority, cooldown, rest_days, due_at, due_at + interval 14 day as expires_at,
    coalesce(undecided.account_id, person.account_id) as account_id,
    person.person_key, person.email, person.role, coalesce(person.is_deleted, true) as is_gone
from (
    select survey_id, trigger_record_id, occasions.account_id, due_at,
        coalesce(occasions.contact_id, primary_contacts.contact_id) as contact_id
    from occasions
    left join primary_contacts using (account_id)
    where due_at <= getvariable('as_of')
        and due_at >= getvariable('active_since') - interval 14 day
        and not exists (
            from decided
            where decided.survey_id = occasions.survey_id and decided.trigger_record_id = occasions.trigger_record_id
        )
) as undecided
inner join surveys using (survey_id)
left join contacts as person using (contact_id)
where contact_id is not null;

-- Who was asked or answered lately enough to matter: nobody is handed a mail later than a fortnight after the seal.
create temp table asks as
select candidate_id as invitation_id, contact_id, person_key, survey_id, sealed_at
from decided
where decision = 'ask'
    and sealed_at > getvariable('as_of') - interval 200 day
    and (contact_id in (select contact_id from candidates) or person_key in (select person_key from candidates));

create temp table mails as
select
    invitation_id, any_value(contact_id) as contact_id, any_value(person_key) as person_key,
    any_value(survey_id) as survey_id,
    coalesce(arg_max(kind, seq) filter (kind in ('sent', 'rejected', 'suppressed', 'uncertain')), 'pending') as state,
    coalesce(
        min(occurred_at) filter (kind = 'sent'), min(occurred_at) filter (kind = 'uncertain'), any_value(sealed_at)
    ) as happened_at,
    coalesce(min(occurred_at) filter (kind = 'delivered'), happened_at) as reached_at,
    count(distinct (payload ->> '$.score')) filter (kind = 'clicked' and (payload ->> '$.hidden') = 'false') as links,
    count(*) filter (kind = 'clicked' and (payload ->> '$.hidden') = 'true') as traps
from asks
left join (
    select seq, kind, invitation_id, occurred_at, payload
    from lake.ledger_events
    where kind in ('sent', 'rejected', 'suppressed', 'uncertain', 'delivered', 'clicked')
        and occurred_at between getvariable('as_of') - interval 200 day and getvariable('as_of')
        and recorded_at <= getvariable('known_at')
) using (invitation_id)
group by invitation_id;

create temp table answers as
with confirmed as (
    select contact_id, person_key, invitation_id, occurred_at, seq,
        (payload ->> '$.judged') = 'human' as is_human
    from lake.ledger_events
    inner join mails using (invitation_id, contact_id)
    where kind = 'answered'
        and occurred_at between getvariable('as_of') - interval 92 day and getvariable('as_of')
        and recorded_at <= getvariable('known_at')
        and (
            (payload ->> '$.judged') = 'human'
            or (
                links = 1 and traps = 0 and (payload ->> '$.visible_ms')::integer >= 2000
                and epoch(occurred_at) - epoch(reached_at) >= 60
            )
        )
),

eligible as (
    select *, min(occurred_at) over (partition by invitation_id) as first_at
    from (from confirmed qualify is_human or not bool_or(is_human) over (partition by invitation_id))
)

select any_value(contact_id) as contact_id, any_value(person_key) as person_key,
    arg_max(occurred_at, seq) as answered_at
from eligible
where occurred_at <= first_at + interval 24 hour
group by invitation_id;

create temp table last_days as
select key, max(asked_at) as asked_at, max(asked_at) filter (survey_id = 'after-order') as after_order_at,
    max(answered_at) as answered_at
from (
    select unnest([contact_id, person_key]) as key, survey_id, happened_at as asked_at, null::timestamp as answered_at
    from mails
    where state in ('pending', 'sent', 'uncertain')
    union all
    select unnest([contact_id, person_key]), null, null, answered_at from answers
)
where key is not null
group by key;

create temp table listed as
select seq, kind, invitation_id, occurred_at, payload
from lake.ledger_events
where kind in ('suppressed_address', 'unsubscribed', 'bounced', 'excluded', 'exclusion_removed')
    and occurred_at <= getvariable('as_of') and recorded_at <= getvariable('known_at');

create temp table suppressed as
select (payload ->> '$.person_key') as person_key from listed where kind = 'suppressed_address'
union
select person_key
from decided
inner join (
    select invitation_id from listed
    where kind = 'unsubscribed' or (kind = 'bounced' and (payload ->> '$.hard') = 'true')
) on invitation_id = candidate_id;

create temp table excluded as
select distinct (payload ->> '$.subject_id') as subject_id
from (
    select *, lead(occurred_at) over (partition by (payload ->> '$.subject_id') order by seq) as next_at
    from listed
    where kind in ('excluded', 'exclusion_removed')
)
where kind = 'excluded'
    and next_at is null
    and coalesce((payload ->> '$.until')::timestamptz at time zone 'UTC', 'infinity') > getvariable('as_of');

create table queue as
with judged as (
    select
        candidates.*,
        is_gone as fails_contact_gone,
        coalesce(email, '') not like '%_@_%' as fails_no_address,
        contact_id in (from excluded) or account_id in (from excluded) as fails_excluded,
        candidates.person_key in (select person_key from contacts where is_opted_out and person_key is not null)
            as fails_opted_out,
        candidates.person_key in (select person_key from suppressed where person_key is not null) as fails_suppressed,
        survey_id = 'after-ticket' and not coalesce(
            tier in ('Enterprise', 'Mid-Market') and role in ('Decision Maker', 'Administrator', 'End User'), false
        ) as fails_audience,
        expires_at < getvariable('as_of') as fails_expired,
        coalesce(date_diff('day', case survey_id
            when 'after-order' then greatest(own.after_order_at, shared.after_order_at)
            else greatest(own.asked_at, shared.asked_at)
        end::date, getvariable('as_of')::date) < cooldown, false) as fails_cooldown,
        coalesce(
            date_diff('day', greatest(own.answered_at, shared.answered_at)::date, getvariable('as_of')::date) < rest_days,
            false
        ) as fails_recent_response
    from candidates
    left join accounts using (account_id)
    left join last_days as own on own.key = contact_id
    left join last_days as shared on shared.key = candidates.person_key
),

failed as (
    select
        *,
        list_filter([
            case when fails_contact_gone then 'contact_gone' end, case when fails_no_address then 'no_address' end,
            case when fails_excluded then 'excluded' end, case when fails_opted_out then 'opted_out' end,
            case when fails_suppressed then 'suppressed' end, case when fails_audience then 'audience' end,
            case when fails_expired then 'expired' end, case when fails_cooldown then 'cooldown' end,
            case when fails_recent_response then 'recent_response' end
        ], rule -> rule is not null) as rules
    from judged
),

ranked as (
    select
        *,
        len(rules) = 0 and row_number() over (
            partition by person_key, len(rules) = 0 order by priority, due_at, candidate_id
        ) > 1 as is_second
    from failed
)

select
    candidate_id,
    case when is_second or len(rules) > 0 then 'skip' else 'ask' end as decision,
    case when is_second then 'one_per_wave' when len(rules) > 0 then rules[1] else 'passed' end as deciding_rule,
    case when is_second then '["one_per_wave"]' when len(rules) = 0 then '[]'
        else '["' || array_to_string(rules, '","') || '"]' end as all_failed_rules
from ranked;
