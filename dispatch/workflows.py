"""An answer and the workflows of its survey, made into actions of the ledger: who gets what, with which words, until when."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from closedloop.errors import BadInput
from closedloop.ledger.actions import CHAT, CRM, MAIL, RECORD, SEQUENCE, Action, message_for
from closedloop.ledger.visitors import FORM, is_visitor
from closedloop.programme import Survey, band_of
from closedloop.programme import workflows as rules
from closedloop.programme.languages import translated
from closedloop.settings import Settings
from closedloop.texts import fill, values_of
from dispatch.assigning import Assignee, in_role, is_usable
from dispatch.knowledge import Known

REPLY_WITHIN = dt.timedelta(days=7)
"""A customer is not thanked for what was confirmed only so long after the answer."""
TASK_DAYS = 7
NOT_IN_CRM = "the CRM does not know this person"
ONLY_TYPED = "the address was only typed in, on the website"
TOO_LATE = "the answer is too old for a mail"
_CASE_EVENTS = ("ticket_resolved", "support_contact")


@dataclass(frozen=True)
class Answered:
    """One answer with all that its workflows look at; `row` is one of the ledger's `unworked`."""

    row: Mapping[str, Any]
    survey: Survey
    known: Known
    assignee: Assignee | None
    """Who follows up, where somebody must."""
    acknowledge_due_at: dt.datetime | None
    due_at: dt.datetime | None

    @property
    def payload(self) -> Mapping[str, Any]:
        return self.row["payload"]

    @property
    def facts(self) -> dict[str, Any]:
        """What every record in the CRM tells of the answer."""
        row, payload = self.row, self.payload
        return {
            "contact_id": row["contact_id"],
            "account_id": row["account_id"],
            "survey_id": row["survey_id"],
            "survey_name": self.survey.name,
            "survey_type": self.survey.type,
            "score": row["score"],
            "category": band_of(row["score"]).value,
            "comment": row["comment"] or "",
            "answered_at": row["scored_at"].isoformat(),
            "trigger_event": payload.get("trigger_event"),
            "trigger_record_id": payload.get("trigger_record_id"),
        }


def actions_of(answered: Answered, settings: Settings, *, now: dt.datetime) -> Iterator[Action]:
    """All that follows this answer, the answer's own record in the CRM first."""
    yield _record(answered)
    score, known = answered.row["score"], answered.known
    facts = {"contact": known.contact, "account": known.account}
    for key, _, action in rules.actions_for(answered.survey, score, facts):
        try:
            yield from _action(key, action, answered, settings, now)
        except BadInput as error:  # a text that cannot be filled must not cost all else
            yield Action(key, _WAYS.get(action.do, CRM), skipped=f"cannot be written: {error.problem}"[:200])


_WAYS = {"alert": MAIL, "reply": MAIL, "chat": CHAT, "sequence": SEQUENCE}


def _record(answered: Answered) -> Action:
    row = answered.row
    said = {name: row[name] for name in ("version", "answers", "channel")}
    first = {"submitted_at": row["submitted_at"].isoformat(), "owner_id": answered.payload.get("owner_id")}
    return _crm(answered, RECORD, {**said, **first})


def _action(
    key: str, action: rules.Action, answered: Answered, settings: Settings, now: dt.datetime
) -> Iterator[Action]:
    match action:
        case rules.AlertAction():
            yield from _alert(key, action, answered, settings, now)
        case rules.ReplyAction():
            yield _reply(key, action, answered, now)
        case rules.TaskAction():
            who = in_role(action.to, answered.payload, answered.assignee, settings)
            due = answered.due_at if action.due_days is None else None
            due = due or answered.row["scored_at"] + dt.timedelta(days=action.due_days or TASK_DAYS)
            title = {"subject": _words(action.subject, answered), "priority": action.priority}
            for_whom = {"assignee_id": who.person_id, "assignee_email": who.email, "due_at": due.isoformat()}
            yield _crm(answered, key, title | for_whom)
        case rules.CaseAction():
            about_case = answered.payload.get("trigger_event") in _CASE_EVENTS and action.reopen
            case = answered.payload.get("trigger_record_id") if about_case else None
            title = {"subject": _words(action.subject, answered), "priority": action.priority}
            yield _crm(answered, key, {**title, "reopen_case_id": case})
        case rules.TimelineAction():
            score, survey = answered.row["score"], answered.survey.name
            yield _crm(answered, key, {"colour": action.colour, "subject": f"NPS {score} of 10: {survey}"})
        case rules.HealthAction():
            yield _crm(answered, key, {"change": action.change}, told={"change": action.change})
        case rules.AdvocateAction():
            yield _crm(answered, key, {"since": answered.row["scored_at"].isoformat()})
        case rules.NotifyAction():
            who = in_role(action.to, answered.payload, answered.assignee, settings)
            title = f"{_whom(answered)} gave {answered.row['score']} of 10"
            yield _crm(answered, key, {"subject": title, "recipient_id": who.person_id})
        case rules.ChatAction():
            whom = {"contact_name": _contact(answered), "account_name": _account(answered)}
            yield Action(key, CHAT, answered.facts | whom | {"chat": action.channel})
        case rules.SequenceAction():
            yield _sequence(key, action, answered, now)


def _crm(answered: Answered, key: str, payload: Mapping[str, Any], *, told: Mapping[str, Any] | None = None) -> Action:
    """A record for the CRM. A visitor of the website is nobody there."""
    why = NOT_IN_CRM if is_visitor(answered.row["contact_id"]) else None
    return Action(key, CRM, answered.facts | payload, skipped=why, told=told or {})


def _alert(
    key: str, action: rules.AlertAction, answered: Answered, settings: Settings, now: dt.datetime
) -> Iterator[Action]:
    if action.to == "marketing":
        if not settings.marketing_address:
            return
        who, copies = Assignee(None, "Marketing", settings.marketing_address, "marketing"), []
    else:
        who = in_role(action.to, answered.payload, answered.assignee, settings)
        critical = answered.row["score"] <= answered.survey.follow_up.copy_manager_up_to_score
        copies = manager_copy(answered.payload, who.email) if critical else []
    facts = alert_facts(answered, who, copies)
    yield Action(key, MAIL, message=message_for(answered.row, key, "alert", facts, now=now))


def alert_facts(answered: Answered, who: Assignee, copies: list[str]) -> dict[str, Any]:
    """The payload of an alert: all that its rendering shows."""
    payload, row, known = answered.payload, answered.row, answered.known
    due = {"acknowledge_due_at": answered.acknowledge_due_at, "due_at": answered.due_at}
    return {
        "email": who.email,
        "cc": copies,
        "assignee_name": who.name,
        "assignment_rule": who.rule,
        "score": row["score"],
        "comment": row.get("comment"),
        "contact_name": _contact(answered),
        "contact_email": payload.get("email"),
        "contact_phone": payload.get("mobile_phone"),  # where surveys go by text message; else nobody passed it on
        "account_name": _account(answered),
        "survey_name": answered.survey.name,
        "company": payload.get("company") or "",
        "answered_at": row["scored_at"].isoformat(),
        **{name: at.isoformat() for name, at in due.items() if at is not None and answered.assignee is not None},
        "has_followup": answered.assignee is not None,
        "account": {
            name: _plain(known.account.get(name))
            for name in ("tier", "contract_value", "renewal_date", "open_cases", "customer_since")
            if known.account.get(name) is not None
        },
        "earlier": [
            {
                "survey_id": one.survey_id,
                "score": one.score,
                "on": one.submitted_at.date().isoformat(),
                "same_contact": one.is_same_contact,
            }
            for one in known.earlier[:5]
        ],
    }


def manager_copy(payload: Mapping[str, Any], to: str) -> list[str]:
    """The manager's address for a copy, unless the mail goes there anyway."""
    manager = payload.get("manager_email")
    return [manager] if is_usable(manager) and manager.lower() != to.lower() else []


def reply_of(
    row: Mapping[str, Any], key: str, words: Mapping[str, Any], now: dt.datetime, *, due: dt.datetime | None = None
) -> dict[str, Any]:
    """A mail to the customer who answered. `words`: subject, body, and optionally button and link, `{{ }}` filled in."""
    payload = row["payload"]
    message = message_for(row, key, "reply", {**payload, "reply": dict(words)}, now=now)
    ends = max(now, due or now) + REPLY_WITHIN
    return {**message, "person_key": row["person_key"], "next_attempt_at": due, "expires_at": ends}


def words_in(action: rules.ReplyTexts | rules.ReplyAction, languages: Mapping[str, Any], row: Mapping[str, Any]) -> Any:
    """The texts of a mail in the customer's language, where there are any, with the customer's values."""
    payload = row["payload"]
    language = translated(payload["definition"], payload.get("language"))["language"]
    texts = languages.get(language) or languages.get(language.partition("-")[0]) or action
    values = values_of(payload)
    filled = {name: fill(getattr(texts, name), values, field=name) for name in ("subject", "body")}
    return filled | ({"language": language} if texts is not action else {})


def _reply(key: str, action: rules.ReplyAction, answered: Answered, now: dt.datetime) -> Action:
    row = answered.row
    if not answered.payload.get("email"):
        return Action(key, MAIL, skipped="no mail address is known")
    if row["kind"] == FORM:  # anyone could have us write to anybody
        return Action(key, MAIL, skipped=ONLY_TYPED)
    if now - row["scored_at"] > REPLY_WITHIN:
        return Action(key, MAIL, skipped=TOO_LATE)
    words = words_in(action, action.languages, row)
    if action.link:
        words |= {"link": action.link, "button": _words(action.button or "", answered)}
    due = row["scored_at"] + dt.timedelta(hours=action.after_hours) if action.after_hours else None
    return Action(key, MAIL, message=reply_of(row, key, words, now, due=due))


def _sequence(key: str, action: rules.SequenceAction, answered: Answered, now: dt.datetime) -> Action:
    row = answered.row
    late = now - row["scored_at"] > REPLY_WITHIN
    why = ONLY_TYPED if row["kind"] == FORM else TOO_LATE if late else None
    payload = {"sequence": action.sequence, "sent": 0, "begins_at": row["scored_at"].isoformat()}
    return Action(key, SEQUENCE, payload, skipped=why)


def _words(text: str, answered: Answered) -> str:
    names = {"contact_name": _contact(answered), "account_name": _account(answered)}
    return fill(text, values_of(answered.payload) | names)


def _whom(answered: Answered) -> str:
    return f"{_contact(answered)} at {_account(answered)}"


def _contact(answered: Answered) -> str:
    payload = answered.payload
    parts = (payload.get("first_name"), payload.get("last_name"))
    name = payload.get("contact_name") or " ".join(part for part in parts if part)
    return str(name).strip() or "a contact"


def _account(answered: Answered) -> str:
    return answered.payload.get("account_name") or "an unknown account"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date) else value
