"""Decisions become facts: the proposals of a published build are staged in the ledger and sealed in one transaction."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from closedloop.clock import as_utc
from closedloop.errors import Refused
from closedloop.ledger import Ledger
from closedloop.ledger import builds as ledger_builds
from closedloop.ledger.planning import Sealed, seal, stage
from closedloop.programme import Survey, load_surveys
from closedloop.settings import Settings
from orchestration.publish import FRESH_FOR

_DECISIONS = """
select candidate_id, contact_id, account_id, person_key, survey_id, wave_id, trigger_event, trigger_record_id,
       due_at, decision, deciding_rule, all_failed_rules, facts, decided_as_of, definition_hash, expires_at
from {queue}
where decision in ('ask', 'skip')
order by candidate_id
"""
_QUEUE = "marts.survey_queue"
_OLD_QUEUE = f"(select *, null as facts from {_QUEUE})"
"""Of a publication that was built before decisions kept their facts."""

_HAS_COLUMN = """
select 1 as found from information_schema.columns
where table_schema = 'marts' and table_name = '{table}' and column_name = '{column}'
"""

_MESSAGES = """
select
    queue.candidate_id,
    contacts.email, contacts.first_name, contacts.last_name, contacts.language, contacts.time_zone,
    {mobile_phone} as mobile_phone,
    accounts.account_name,
    owners.user_id as owner_id, owners.user_name as owner_name, owners.email as owner_email,
    managers.user_id as manager_id, managers.user_name as manager_name, managers.email as manager_email,
    csms.user_id as csm_id, csms.user_name as csm_name, csms.email as csm_email
from marts.survey_queue as queue
inner join marts.dim_contacts as contacts on contacts.contact_id = queue.contact_id
left join marts.dim_accounts as accounts on accounts.account_id = queue.account_id
left join marts.dim_users as owners on owners.user_id = accounts.owner_id and owners.is_active
left join marts.dim_users as managers
    on managers.user_id = (select manager_id from marts.dim_users where user_id = accounts.owner_id)
    and managers.is_active
left join marts.dim_users as csms on csms.user_id = accounts.csm_id and csms.is_active
where queue.decision = 'ask'
"""


def seal_publication(settings: Settings, publication_id: str, *, now: dt.datetime) -> Sealed:
    """Seal the asks and skips that `publication_id` proposes; the asks are then messages waiting to be sent.

    Proposals made under a definition that has changed since are left for the next build. Raises Refused when the
    publication is unknown, not the newest, too old, or when another evaluation was sealed since its build began.
    Sealing the same publication again is refused by the same chain, so nobody is asked twice.
    """
    with Ledger.open(settings) as ledger:
        publication = ledger_builds.get_publication(ledger, publication_id)
        newest = ledger_builds.newest_publication(ledger)
        if publication is None or newest is None:
            raise Refused(f"there is no publication '{publication_id}'; build first")
        if newest["publication_id"] != publication_id:
            raise Refused(f"publication {publication_id} is not the newest one; seal {newest['publication_id']}")
        if not dt.timedelta(0) <= now - publication["as_of"] <= FRESH_FOR:
            raise Refused(
                f"publication {publication_id} stands as of {publication['as_of']:%Y-%m-%d %H:%M}; build again"
            )
        if now - publication["known_at"] > FRESH_FOR:
            raise Refused(
                f"publication {publication_id} knows nothing after {publication['known_at']:%Y-%m-%d %H:%M}; build again"
            )
        build = ledger_builds.get_build(ledger, publication["build_id"])
        surveys = {survey.definition_hash: survey for survey in load_surveys(settings.surveys)}
        marts = settings.published_dir / f"marts-{publication_id}.duckdb"
        decisions = list(_decisions(marts, publication_id, surveys))
        stage(ledger, publication_id, decisions, _messages(marts, decisions, surveys, now=now))
        return seal(
            ledger,
            evaluation_id=publication_id,
            predecessor_id=build["predecessor_id"],
            publication_id=publication_id,
            as_of=publication["as_of"],
            known_at=publication["known_at"],
            definitions_hash=publication["definitions_hash"],
            asks=sum(row["decision"] == "ask" for row in decisions),
            skips=sum(row["decision"] == "skip" for row in decisions),
            now=now,
        )


def _rows(marts: Path, query: str) -> Iterator[dict[str, Any]]:
    with duckdb.connect(str(marts), read_only=True) as con:
        result = con.execute(query)
        names = [column[0] for column in result.description]
        while chunk := result.fetchmany(10_000):
            for row in chunk:
                yield {
                    name: as_utc(value) if isinstance(value, dt.datetime) else value
                    for name, value in zip(names, row, strict=True)
                }


def _has(marts: Path, table: str, column: str) -> bool:
    """Whether the publication has a column that older ones lack."""
    return any(_rows(marts, _HAS_COLUMN.format(table=table, column=column)))


def _decisions(marts: Path, evaluation_id: str, surveys: dict[str, Survey]) -> Iterator[dict[str, Any]]:
    queue = _QUEUE if _has(marts, "survey_queue", "facts") else _OLD_QUEUE
    for row in _rows(marts, _DECISIONS.format(queue=queue)):
        if row["definition_hash"] in surveys:
            yield {"evaluation_id": evaluation_id, **row}


def _addressed(marts: Path) -> Iterator[dict[str, Any]]:
    """What a message needs to know of each person who is to be asked."""
    number = "contacts.mobile_phone" if _has(marts, "dim_contacts", "mobile_phone") else "null"
    return _rows(marts, _MESSAGES.format(mobile_phone=number))


def _messages(
    marts: Path, decisions: list[dict[str, Any]], surveys: dict[str, Survey], *, now: dt.datetime
) -> Iterator[dict[str, Any]]:
    asked = {row["candidate_id"]: row for row in decisions if row["decision"] == "ask"}
    for facts in _addressed(marts):
        decision = asked.get(facts.pop("candidate_id"))
        if decision is None:
            continue
        survey, mobile_phone = surveys[decision["definition_hash"]], facts.pop("mobile_phone")
        name = " ".join(part for part in (facts["first_name"], facts["last_name"]) if part)
        payload = {
            **facts,
            "contact_name": name,
            "mobile_phone": mobile_phone if "sms" in survey.channels else None,
            "company": survey.company,
            "survey_type": survey.type,
            "trigger_event": decision["trigger_event"],
            "trigger_record_id": decision["trigger_record_id"],
            "definition": survey.model_dump(mode="json"),
        }
        yield {
            "message_id": decision["candidate_id"],
            "evaluation_id": decision["evaluation_id"],
            "invitation_id": decision["candidate_id"],
            "survey_id": survey.id,
            "wave_id": decision["wave_id"],
            "contact_id": decision["contact_id"],
            "account_id": decision["account_id"],
            "person_key": decision["person_key"],
            "kind": "invitation",
            "sequence": 0,
            "channel": next((way for way in ("email", "sms", "link") if way in survey.channels), survey.channels[0]),
            "payload": json.dumps(payload, ensure_ascii=False),
            "planned_at": now,
            "expires_at": decision["expires_at"],
            "link_expires_at": now + dt.timedelta(days=survey.link_valid_days),
            "cooldown_days": survey.cooldown.days,
        }
