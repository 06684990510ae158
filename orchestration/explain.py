"""Why a contact was asked or not: every decision in plain words, with the rule and the facts that it stood on."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

from closedloop.programme import Rule, WaitingRule
from closedloop.settings import Settings
from orchestration.reports import demand, marts, rows

IN_WORDS: dict[str, str] = {
    Rule.CONTACT_GONE: "the contact or its account was deleted in the CRM",
    Rule.NO_ADDRESS: "the contact has no usable mail address",
    Rule.EXCLUDED: "the contact or its account is on the exclusion list",
    Rule.OPTED_OUT: "the CRM says that this contact does not want mail",
    Rule.SUPPRESSED: "the address unsubscribed, complained or bounced",
    Rule.AUDIENCE: "the survey's filter does not take this contact",
    Rule.NOT_SAMPLED: "the survey asks a sample, and this contact was not drawn",
    Rule.EXPIRED: "the occasion was over before it could be asked about (max_age_days)",
    Rule.COOLDOWN: "the person was asked too recently (cooldown)",
    Rule.RECENT_RESPONSE: "the person answered a survey recently",
    Rule.ACCOUNT_CAP: "as many of the account were asked as its cap allows",
    Rule.ONE_PER_WAVE: "another survey or event took precedence for the same person",
    Rule.PASSED: "nothing speaks against asking",
    WaitingRule.WAVE_SLOT: "the audience is spread over days, and the day of this contact has not come",
    WaitingRule.BUSINESS_HOURS: "it is outside business hours where the contact is",
}


def in_words(rule: str, facts: Mapping[str, Any], decided: dt.datetime) -> str:
    """The rule in plain words, with the facts that made it decide; without facts (older decisions) the rule alone."""
    if rule in (Rule.COOLDOWN, Rule.PASSED, Rule.RECENT_RESPONSE):
        return _about_contacts(rule, facts, decided)
    words = IN_WORDS.get(rule, rule)
    detail = {
        Rule.EXCLUDED: facts.get("exclusion"),
        Rule.SUPPRESSED: facts.get("suppression"),
        Rule.AUDIENCE: ", ".join(
            f"{name} {facts[name]}" if facts.get(name) else f"no {name}" for name in ("role", "tier")
        )
        if facts
        else None,
        Rule.EXPIRED: facts.get("expires_at") and f"it ended {facts['expires_at'][:16]} UTC",
        Rule.ACCOUNT_CAP: facts.get("asks_of_account") and f"this would be number {facts['asks_of_account']}",
        WaitingRule.WAVE_SLOT: facts.get("slot_on"),
        WaitingRule.BUSINESS_HOURS: facts.get("local_time") and f"{facts['local_time'][11:16]} there",
    }.get(rule)
    return f"{words}: {detail}" if detail else words


def _about_contacts(rule: str, facts: Mapping[str, Any], decided: dt.datetime) -> str:
    asked = facts.get("asked_at")
    if rule == Rule.RECENT_RESPONSE and facts.get("answered_at"):
        return (
            f"answered a survey {_days(facts['answered_at'], decided)} on {facts['answered_at'][:10]}; nobody is asked "
            f"within {facts.get('rest_days')} days of an answer"
        )
    if rule == Rule.COOLDOWN and asked:
        by = f" by '{facts['asked_by']}'" if facts.get("asked_by") else ""
        return f"asked {_days(asked, decided)} on {asked[:10]}{by}; the cooldown{_over(facts)} is {facts.get('cooldown_days')} days{_wish(facts)}"
    if rule == Rule.PASSED and facts:
        if not asked:
            return "nothing speaks against asking: never asked before"
        by = f" by '{facts['asked_by']}'" if facts.get("asked_by") else ""
        return (
            f"nothing speaks against asking: last asked {_days(asked, decided)} on {asked[:10]}{by}, "
            f"the cooldown{_over(facts)} is {facts.get('cooldown_days')} days"
        )
    return IN_WORDS[rule]


def _wish(facts: Mapping[str, Any]) -> str:
    return f", and this person chose at most one in {facts['wished_days']} days" if facts.get("wished_days") else ""


def _over(facts: Mapping[str, Any]) -> str:
    over = facts.get("cooldown_over", "all")
    return "" if over == "all" else f" over {over.replace(':', ' ')}" if ":" in over else f" of '{over}'"


def _days(then: str, decided: dt.datetime) -> str:
    days = (decided.date() - dt.date.fromisoformat(then[:10])).days
    return "the same day" if days == 0 else "the day before" if days == 1 else f"{days} days before"


def explain(
    settings: Settings, contact_id: str, survey_id: str | None = None, *, as_of: dt.datetime | None = None
) -> dict[str, Any]:
    """Every sealed decision (and open proposal) about one contact, oldest first, and how it stands with the contact.

    `as_of` shows what was decided by then; proposals are those of the newest publication, so they are shown only where
    its time has come by then. Raises BadInput where there is no such contact, or no such survey.
    """
    with marts(settings) as con:
        demand(con, "contact", contact_id)
        if survey_id is not None:
            demand(con, "survey", survey_id)
        at = as_of.astimezone(dt.UTC).replace(tzinfo=None) if as_of else None
        found = rows(con, _DECISIONS, [contact_id, survey_id, survey_id, at, at])
        standing = rows(con, _STANDING, [contact_id, at, at, at, at])[0]
        silent = rows(con, _SILENT, [survey_id, survey_id, contact_id, at, at])
    for row in found:
        row["all_failed_rules"] = json.loads(row["all_failed_rules"])
        row["facts"] = json.loads(row["facts"] or "{}")
        row["in_words"] = in_words(row["deciding_rule"], row["facts"], row["decided_as_of"])
        row["also"] = [
            in_words(rule, row["facts"], row["decided_as_of"])
            for rule in row["all_failed_rules"]
            if rule != row["deciding_rule"]
        ]
    return {
        "contact_id": contact_id,
        "as_of": as_of.isoformat() if as_of else None,
        "standing": standing,
        "decisions": found,
        "nothing_was_due_for": [row["survey_id"] for row in silent],
    }


_DECISIONS = """
with decisions as (
    select 'sealed' as state, candidate_id, survey_id, trigger_event, trigger_record_id, due_at,
           decision, deciding_rule, all_failed_rules, facts, decided_as_of, contact_id
    from marts.fct_eligibility_decisions
    union all
    select 'proposed', candidate_id, survey_id, trigger_event, trigger_record_id, due_at,
           decision, deciding_rule, all_failed_rules, facts, decided_as_of, contact_id
    from marts.survey_queue
)
select * exclude (contact_id) from decisions
where contact_id = ? and (? is null or survey_id = ?) and (? is null or decided_as_of <= ?)
order by decided_as_of, survey_id, due_at, candidate_id
"""
# A person is a contact and an address: what was sent to another contact of the same address counts.
_STANDING = """
with person as (
    select contact_id, person_key, is_opted_out, is_deleted from marts.dim_contacts where contact_id = ?
),
same as (
    select contacts.contact_id from marts.dim_contacts as contacts, person
    where contacts.contact_id = person.contact_id or contacts.person_key = person.person_key
),
asked as (
    select survey_id, sent_at from marts.fct_invitations
    where contact_id in (select contact_id from same) and sent_at is not null and (? is null or sent_at <= ?)
),
answered as (
    select submitted_at from marts.fct_responses
    where contact_id in (select contact_id from same) and (? is null or submitted_at <= ?)
)
select
    (select max(sent_at) from asked) as last_asked_at,
    (select arg_max(survey_id, sent_at) from asked) as last_asked_by,
    (select count(*) from asked) as times_asked,
    (select max(submitted_at) from answered) as last_answered_at,
    (select is_opted_out from person) as is_opted_out,
    (select is_deleted from person) as is_deleted,
    (select list(contact_id order by contact_id) from same where contact_id <> (select contact_id from person))
        as same_address_as
"""
_SILENT = """
select survey_id from marts.dim_surveys as surveys
where status = 'active' and (? is null or survey_id = ?)
  and not exists (
      select 1 from (
          select contact_id, survey_id, decided_as_of from marts.fct_eligibility_decisions
          union all select contact_id, survey_id, decided_as_of from marts.survey_queue
      ) as decisions
      where decisions.contact_id = ? and decisions.survey_id = surveys.survey_id and (? is null or decided_as_of <= ?)
  )
order by survey_id
"""


def as_text(found: dict[str, Any]) -> str:
    """The explanation for a person."""
    standing = found["standing"]
    head = [
        f"contact {found['contact_id']}"
        + (f" as of {found['as_of'][:16].replace('T', ' ')} UTC" if found["as_of"] else "")
    ]
    if standing["last_asked_at"]:
        head.append(
            f"  last asked     {standing['last_asked_at']:%Y-%m-%d} by '{standing['last_asked_by']}', "
            f"{standing['times_asked']} times in all"
        )
    else:
        head.append("  last asked     never by this platform")
    answered = standing["last_answered_at"]
    head.append(f"  last answered  {f'{answered:%Y-%m-%d}' if answered else 'never'}")
    if standing["same_address_as"]:
        head.append(f"  same address   {', '.join(standing['same_address_as'])}")
    head += [
        f"  {what}"
        for what, told in (("deleted in the CRM", "is_deleted"), ("opted out", "is_opted_out"))
        if standing[told]
    ]
    lines = []
    for row in found["decisions"]:
        what = {"ask": "asked", "skip": "not asked", "defer": "waits"}[row["decision"]]
        if row["state"] == "proposed":
            what = {"ask": "would be asked", "skip": "would not be asked", "defer": "waits"}[row["decision"]]
        lines += [
            f"{row['decided_as_of']:%Y-%m-%d}  {row['survey_id']:<20} {what}",
            *(f"            {words}" for words in (row["in_words"], *(f"also: {also}" for also in row["also"]))),
            f"            {row['trigger_event']} {row['trigger_record_id']}, due {row['due_at']:%Y-%m-%d}",
        ]
    if found["nothing_was_due_for"]:
        lines.append(f"nothing was ever due for: {', '.join(found['nothing_was_due_for'])}")
    return "\n".join([*head, "", *lines])
