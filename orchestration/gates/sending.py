"""Gate 2, after dbt: who is about to be asked. Nobody is asked who must not be, and no flood goes out.

The models' own verdict (`all_failed_rules`) is not believed here: each rule about who is worked out again from the raw
rows of CRM, ledger and imports, in another form than the models use.
"""

from __future__ import annotations

from orchestration.gates.arrived import CONTEXT
from orchestration.gates.checks import Check, Suite, columns, never_null, one_of, rule, suite, unique

NO_ASKS = "nobody is due: a build that asks no one is a good build"
FLOOD_FACTOR = 5.0
FLOOD_FROM = 200
"""More asks than both five times the largest of the last eight evaluations and this number are absurd."""

QUEUE = (
    "candidate_id contact_id account_id person_key survey_id wave_id trigger_event trigger_record_id due_at expires_at "
    "decision deciding_rule all_failed_rules facts decided_as_of priority definition_hash"
)

# What was known at this build, one CTE a thought. Each rule below takes the ones that it names.
_ASKED = f"""
    asked as (select this.*, context.as_of, context.known_at from this cross join {CONTEXT} as context where decision = 'ask')"""
_CONTACTS = f"""
    contact_now as (
        select contact_id, account_id, address, opted_out from (
            select
                "Id" as contact_id, "AccountId" as account_id, lower(trim("Email")) as address,
                lower(coalesce("HasOptedOutOfEmail", '')) in ('true', '1', 'yes') as opted_out,
                row_number() over (
                    partition by "Id"
                    order by _exported_at desc, coalesce(try_cast("SystemModstamp" as timestamp), _exported_at) desc, _ingested_at desc
                ) as newest
            from (
                select * from warehouse.lake.crm_contact
                union all by name select * from warehouse.lake.crm_lead  -- a lead is asked like a contact
            ) cross join {CONTEXT} as context
            where _op = 'upsert' and _ingested_at <= context.known_at
              and coalesce(try_cast("SystemModstamp" as timestamp), _exported_at) <= context.as_of
        ) as versions
        where newest = 1
    )"""
_EVENTS = f"""
    heard as (
        select events.*, coalesce(json_extract_string(payload, '$.message_kind'), 'invitation') as message_kind
        from warehouse.lake.ledger_events as events cross join {CONTEXT} as context
        where recorded_at <= context.known_at and occurred_at <= context.as_of
    )"""
_SEALED = f"""
    sealed as (
        select decisions.*, evaluations.sealed_at
        from warehouse.lake.ledger_decisions as decisions
        join warehouse.lake.ledger_evaluations as evaluations on evaluations.evaluation_id = decisions.evaluation_id
        cross join {CONTEXT} as context
        where decisions.decision = 'ask' and evaluations.as_of <= context.as_of and evaluations.sealed_at <= context.known_at
    )"""
# Of several versions of an imported row the newest says what is true.
_IMPORTED = f"""
    imported as (
        select contact_id, case when trim(contact_email) <> '' then sha256(lower(trim(contact_email))) end as person_key,
               survey as survey_id, submitted_at, coalesce(score, '') <> '' as is_answer
        from (
            select rows.*, context.as_of,
                row_number() over (partition by external_id order by _ingested_at desc) as newest
            from warehouse.lake.responses_imported as rows cross join {CONTEXT} as context
            where _ingested_at <= context.known_at
        ) as versions
        where newest = 1 and submitted_at <= as_of
    )"""
# The programme under which a candidate was judged, as the lake has it.
_PROGRAMMES = """
    programmes as (
        select distinct
            definition_hash,
            cast(json_extract_string(definition, '$.cooldown.days') as integer) as cooldown_days,
            json_extract_string(definition, '$.cooldown.scope') as cooldown_scope,
            json_extract_string(definition, '$.family') as family,
            cast(json_extract_string(definition, '$.skip_after_response_days') as integer) as rest_days
        from warehouse.lake.definitions_surveys
    )"""

# When each person was last addressed: by us (unless it came to nothing), or by another tool.
_CONTACTED = """
    contacted as (
        select
            sealed.contact_id, sealed.person_key, sealed.survey_id,
            coalesce(
                min(heard.occurred_at) filter (where heard.kind = 'sent'),
                min(heard.occurred_at) filter (where heard.kind = 'uncertain'),
                min(sealed.sealed_at)
            ) as at
        from sealed left join heard on heard.invitation_id = sealed.candidate_id and heard.message_kind = 'invitation'
        group by sealed.candidate_id, sealed.contact_id, sealed.person_key, sealed.survey_id
        having coalesce(
            arg_max(heard.kind, heard.seq) filter (where heard.kind in ('sent', 'uncertain', 'rejected', 'suppressed')), ''
        ) not in ('rejected', 'suppressed')
        union all
        select contact_id, person_key, survey_id, submitted_at from imported
    )"""
# The family of each survey, by its newest definition: a cooldown may count over it.
_FAMILIES = f"""
    families as (
        select survey_id, family from (
            select survey_id, json_extract_string(definition, '$.family') as family,
                row_number() over (partition by survey_id order by _ingested_at desc) as newest
            from warehouse.lake.definitions_surveys cross join {CONTEXT} as context
            where _ingested_at <= context.known_at and definition <> ''
        ) as versions where newest = 1
    ),
    contacted_in_family as (
        select contacted.*, families.family from contacted left join families on families.survey_id = contacted.survey_id
    )"""
# A score counts from when it was given (a comment may follow after midnight), and not a day after the first one.
_ANSWERED = """
    human as (
        select
            invitation_id, occurred_at,
            coalesce(cast(try_cast(json_extract_string(payload, '$.scored_at') as timestamptz) as timestamp), occurred_at) as at,
            min(occurred_at) over (partition by invitation_id) as first_at
        from heard where kind = 'answered' and json_extract_string(payload, '$.judged') = 'human'
    ),
    answered as (
        select sealed.contact_id, sealed.person_key, human.at
        from human join sealed on sealed.candidate_id = human.invitation_id
        where human.occurred_at <= human.first_at + interval '24' hour
          and not exists (
              select 1 from heard as voided where voided.kind = 'voided' and voided.invitation_id = human.invitation_id
          )
        union all
        select contact_id, person_key, submitted_at from imported where is_answer
    )"""


def _by_person_or_contact(past: str, too_soon: str) -> str:
    """Faults where a past event of the same address, or of the same contact, is too recent (no OR-join: it is slow)."""
    return "\nunion\n".join(
        f"""
                select asked.candidate_id from asked
                join programmes on programmes.definition_hash = asked.definition_hash
                join {past} on {past}.{key} = asked.{key}
                where {too_soon}"""
        for key in ("person_key", "contact_id")
    )


def suites(*, flood_factor: float = FLOOD_FACTOR) -> list[Suite]:
    """The one suite of this gate, over the proposals."""
    return [
        suite(
            "shop.marts.survey_queue",
            columns(QUEUE.split()),
            never_null("candidate_id"),
            unique("candidate_id"),
            one_of("decision", ("ask", "skip", "defer")),
            rule(
                "asked_only_if_all_passed",
                "A proposal asks exactly when no rule failed, and names the rule that decided.",
                """
                select 1 from this
                where deciding_rule is null or all_failed_rules is null
                   or (decision = 'ask') <> (deciding_rule = 'passed')
                   or (decision = 'ask' and all_failed_rules <> '[]')
                   or (decision = 'skip' and all_failed_rules = '[]')
                """,
            ),
            _of_asks(
                "due",
                "Nobody is asked before the time is due.",
                "select 1 from asked where due_at is null or due_at > as_of",
                _ASKED,
            ),
            _of_asks(
                "not_decided_before",
                "No candidate has a sealed decision already.",
                """
                select 1 from asked join warehouse.lake.ledger_decisions as decisions
                    on decisions.candidate_id = asked.candidate_id
                join warehouse.lake.ledger_evaluations as evaluations on evaluations.evaluation_id = decisions.evaluation_id
                where evaluations.as_of <= asked.as_of and evaluations.sealed_at <= asked.known_at
                """,
                _ASKED,
            ),
            _of_asks(
                "one_per_person",
                "Nobody is asked twice in one evaluation, under one address or one contact.",
                """
                select 1 from asked group by person_key having count(*) > 1 or person_key is null
                union all select 1 from asked group by contact_id having count(*) > 1
                """,
                _ASKED,
            ),
            _of_asks(
                "has_address",
                "Everyone asked has an address, and it is the one of the person counted.",
                """
                select 1 from asked left join contact_now on contact_now.contact_id = asked.contact_id
                where contact_now.address is null or not regexp_matches(contact_now.address, '^[^@ ]+@[^@ ]+$')
                   or asked.person_key is distinct from sha256(contact_now.address)
                """,
                _ASKED,
                _CONTACTS,
            ),
            _of_asks(
                "not_excluded",
                "Nobody asked, and no account of theirs, is on the exclusion list.",
                """
                select 1 from (
                    select
                        kind, json_extract_string(payload, '$.subject') as subject,
                        json_extract_string(payload, '$.subject_id') as subject_id,
                        try_cast(json_extract_string(payload, '$.until') as timestamp) as until,
                        row_number() over (
                            partition by json_extract_string(payload, '$.subject'), json_extract_string(payload, '$.subject_id')
                            order by seq desc
                        ) as newest
                    from heard where kind in ('excluded', 'exclusion_removed')
                ) as entries
                join (
                    select 'contact' as subject, contact_id as subject_id, as_of from asked
                    union all select 'account', account_id, as_of from asked
                ) as subjects using (subject, subject_id)
                where newest = 1 and kind = 'excluded' and coalesce(until, timestamp '9999-12-31') > as_of
                """,
                _ASKED,
                _EVENTS,
            ),
            _of_asks(
                "not_opted_out",
                "Nobody is asked who told the CRM not to be mailed, be it by another contact with the same address.",
                """
                select 1 from asked where contact_id in (select contact_id from contact_now where opted_out)
                   or person_key in (select sha256(address) from contact_now where opted_out)
                """,
                _ASKED,
                _CONTACTS,
            ),
            _of_asks(
                "not_suppressed",
                "No address is asked that unsubscribed, complained or bounced for good.",
                """
                select 1 from asked where person_key in (
                    select json_extract_string(payload, '$.person_key') from heard where kind = 'suppressed_address'
                    union all
                    select sealed.person_key from heard join sealed on sealed.candidate_id = heard.invitation_id
                    where heard.kind = 'unsubscribed'
                       or (heard.kind = 'bounced' and heard.message_kind <> 'alert'
                           and json_extract_string(heard.payload, '$.hard') = 'true')
                )
                """,
                _ASKED,
                _EVENTS,
                _SEALED,
            ),
            _of_asks(
                "not_in_cooldown",
                "Nobody is asked before the programme's cooldown is over.",
                _by_person_or_contact(
                    "contacted_in_family",
                    """(
                      programmes.cooldown_scope = 'global'
                      or contacted_in_family.survey_id = asked.survey_id
                      or (programmes.cooldown_scope = 'family' and contacted_in_family.family = programmes.family)
                  )
                  and cast(asked.as_of as date) - cast(contacted_in_family.at as date) < programmes.cooldown_days""",
                ),
                _ASKED,
                _EVENTS,
                _SEALED,
                _IMPORTED,
                _PROGRAMMES,
                _CONTACTED,
                _FAMILIES,
            ),
            _of_asks(
                "no_recent_answer",
                "Nobody is asked who answered within the programme's rest.",
                _by_person_or_contact(
                    "answered", "cast(asked.as_of as date) - cast(answered.at as date) < programmes.rest_days"
                ),
                _ASKED,
                _EVENTS,
                _SEALED,
                _IMPORTED,
                _PROGRAMMES,
                _ANSWERED,
            ),
            _of_asks(
                "programme_known",
                "Every proposal stands on a definition that the lake holds.",
                """
                select 1 from asked left join programmes on programmes.definition_hash = asked.definition_hash
                where programmes.definition_hash is null
                """,
                _ASKED,
                _PROGRAMMES,
            ),
            _of_asks(
                "programme_active",
                "Every survey that asks is active in its newest definition.",
                """
                select 1 from asked left join (
                    select survey_id, definition_hash, status from (
                        select definitions.*, row_number() over (partition by survey_id order by _ingested_at desc) as newest
                        from warehouse.lake.definitions_surveys as definitions, warehouse.lake.build_context as context
                        where definitions._ingested_at <= context.known_at
                    ) as versions where newest = 1
                ) as programme on programme.survey_id = asked.survey_id
                where programme.status is distinct from 'active' or programme.definition_hash <> asked.definition_hash
                """,
                _ASKED,
            ),
            _of_asks(
                "volume_sane",
                f"Not more than {flood_factor:g} times the largest of the last eight waves, above {FLOOD_FROM}; a first wave passes.",
                f"""
                select 1 from (select count(*) as asks from asked) as wave
                cross join (
                    select max(asks) as largest from (
                        select asks from warehouse.lake.ledger_evaluations as evaluations, {CONTEXT} as context
                        where asks > 0 and evaluations.as_of <= context.as_of and sealed_at <= context.known_at
                        order by sealed_at desc limit 8
                    ) as last_waves
                ) as past
                where wave.asks > {FLOOD_FROM} and wave.asks > {flood_factor} * past.largest
                """,
                _ASKED,
            ),
            empty_is_fine="no candidate is open",
        )
    ]


def _of_asks(name: str, meaning: str, faults: str, *thoughts: str) -> Check:
    return rule(
        name,
        meaning,
        f"with {','.join(thoughts)}\n{faults}",
        evaluates="count(*) filter (where decision = 'ask')",
        none_is_fine=NO_ASKS,
    )
