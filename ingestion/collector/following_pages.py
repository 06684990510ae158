"""What the pages of those who follow up show: plain English, all times UTC and how far away they are."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup
from starlette.responses import HTMLResponse

from closedloop.clock import parse_time
from closedloop.errors import BadInput
from closedloop.phrases import phrases
from closedloop.programme import band_of, stored_survey
from closedloop.programme.steps import CLOSED, IN_WORDS, MOVES, NO_RESPONSE, OPEN, OUTCOMES, STEPS
from closedloop.texts import dialled, fill, values_of
from ingestion.collector.pages import Look, render

Posted = Mapping[str, str]
STYLE = Markup((Path(__file__).parent / "assets" / "following.css").read_text(encoding="utf-8"))
LOOK = Look(say=phrases("en"))

GUIDANCE = (
    (
        "acknowledged",
        "Acknowledge",
        "Call or write within a day. Thank them for their honesty; you need not have the solution yet.",
    ),
    ("investigating", "Investigate", "Look at their words, recent contacts, tickets and deals for the root cause."),
    ("resolving", "Resolve", "Do something concrete: a fix, an escalation, a change, or simply a better explanation."),
    (
        "reported_back",
        "Report back",
        "Tell them what was done. Being listened to counts, even where not all could be solved.",
    ),
    (CLOSED, "Log the outcome", "Say how it ended."),
)
HAPPENED = {
    "followup_opened": "Follow-up opened",
    "first_contact": "First contact",
    "outcome": "Closed",
    "followup_reopened": "Reopened",
    "followup_assigned": "Handed over",
    "followup_note": "Note",
    "voided": "The answer was taken out of all numbers",
}
ACTION_WORDS = {
    "planned": "planned",
    "attempted": "under way",
    "done": "done",
    "failed": "failed",
    "skipped": "left out",
}


FIELD_WORDS = {"by": "your name", "why": "what came up"}
"""Fields whose problem does not say of itself what it is about."""


def problem_of(error: BadInput) -> str:
    """Why a move was refused, for the person who made it."""
    words = FIELD_WORDS.get(error.field or "")
    return f"{words}: {error.problem}" if words else error.problem


@dataclass(frozen=True)
class Followed:
    """One follow-up: its row, what its alert told, its course and actions, and the colleagues who could take it."""

    row: Mapping[str, Any]
    alert: Mapping[str, Any]
    course: Sequence[Mapping[str, Any]]
    actions: Mapping[str, Mapping[str, Any]]
    colleagues: Mapping[str, Mapping[str, Any]]
    away: Set[str]
    """Addresses of colleagues, in lower case, who are away."""


def followup_page(
    followed: Followed,
    *,
    action: str,
    worklist: str,
    now: dt.datetime,
    saved: bool,
    problem: str,
    posted: Posted,
) -> HTMLResponse:
    """One follow-up with the steps that are open to it. `problem` is why the last one was refused, `posted` what it said."""
    row, payload, answer = followed.row, followed.row["payload"], followed.row["answer"]
    step, name = row["status"], payload.get("contact_name") or "A customer"
    score = answer["score"] if answer["score"] is not None else row["score"]
    survey = stored_survey(payload["definition"]) if "id" in (payload.get("definition") or {}) else None
    reached = STEPS.index(step)
    view = {
        "title": f"{name}, {payload['account_name']}" if payload.get("account_name") else name,
        "email": payload.get("email") or "",
        "write_to": quote(payload.get("email") or "", safe="@"),  # mail programs want the @ as it is
        "phone": payload.get("mobile_phone") or "",
        "dial": dialled(payload.get("mobile_phone") or ""),
        "score": score,
        "band": band_of(score).value,
        "survey": survey.name if survey else row["survey_id"],
        "answered": moment(answer["scored_at"] or row["opened_at"], now),
        "comment": answer["comment"] or "",
        "further": _further(survey, answer, payload),
        "facts": _facts(followed.alert, now),
        "earlier": _earlier(followed.alert),
        "clocks": _clocks(row, now),
        "step": step,
        "step_words": IN_WORDS[step],
        "outcome_words": IN_WORDS.get(row["outcome"] or "", ""),
        "steps": [
            {"id": one, "title": title, "words": words, "state": _state(STEPS.index(one), reached)}
            for one, title, words in GUIDANCE
        ],
        "next": [(one, IN_WORDS[one]) for one in STEPS[1:-1] if one in MOVES[step]]
        if step not in (OPEN, CLOSED)
        else [],
        "outcomes": [(one, IN_WORDS[one]) for one in OUTCOMES if step != OPEN or one == NO_RESPONSE],
        "is_open": step == OPEN,
        "is_closed": step == CLOSED,
        "assignee": row["assignee_name"] or "",
        "who_has": row["assignee_name"] or row["assignee_email"] or "nobody",
        "colleagues": [
            (email, one.get("name") or email, email.lower() in followed.away)
            for email, one in followed.colleagues.items()
        ],
        "course": _course(followed.course, now),
        "actions": [
            {
                "name": _action_words(key),
                "state": one["state"],
                "words": ACTION_WORDS.get(one["state"], one["state"]),
                "reason": one["reason"] or "",
            }
            for key, one in followed.actions.items()
        ],
        "action": action,
        "worklist": worklist,
        "saved": saved,
        "problem": f"{problem[:1].upper()}{problem[1:]}." if problem else "",
        "now": moment(now, now),
        "kept": _form_for(step, posted),
        "seen": max((one["seq"] for one in followed.course), default=0),
        "posted": {name: posted.get(name, "") for name in ("do", "by", "note", "at", "step", "outcome", "to")},
    }
    return render("followup.html", LOOK, view, 409 if problem else 200, extra_style=STYLE)


def listed(row: Mapping[str, Any], now: dt.datetime, link: str) -> dict[str, Any]:
    """A follow-up as one line of a list."""
    names = [name for name in row["names"].values() if name]
    waits = row["status"] != CLOSED and row["first_contact_at"] is None
    return {
        "link": link,
        "score": row["score_now"],
        "band": band_of(row["score_now"]).value,
        "title": ", ".join(names) or "A customer",
        "comment": (row["comment"] or "")[:160],
        "step": IN_WORDS[row["outcome"] or row["status"]],
        "is_closed": row["status"] == CLOSED,
        "waits": waits,
        "is_overdue": waits and min(row["acknowledge_due_at"], row["due_at"]) < now,
        "when": _waits_for(row, now) if waits else "",
        "due": moment(row["due_at"], now),
    }


def _waits_for(row: Mapping[str, Any], now: dt.datetime) -> str:
    due = f"first contact due {distance(row['due_at'], now)}"
    if row["acknowledge_due_at"] < now <= row["due_at"]:
        return f"to be acknowledged {distance(row['acknowledge_due_at'], now)}, {due}"
    return due


def worklist_page(rows: Sequence[Mapping[str, Any]]) -> HTMLResponse:
    """All follow-ups of one colleague: those that wait for a contact, those under way, those that were closed lately."""
    groups = (
        ("Waiting for a first contact", [row for row in rows if row["waits"]]),
        ("Under way", [row for row in rows if not row["waits"] and not row["is_closed"]]),
        ("Closed in the last 30 days", [row for row in rows if row["is_closed"]]),
    )
    view = {
        "groups": [(title, some) for title, some in groups if some],
        "open": sum(not row["is_closed"] for row in rows),
    }
    return render("worklist.html", LOOK, view, 200, extra_style=STYLE)


def moment(value: dt.datetime, now: dt.datetime) -> str:
    """Like 'Tue 3 March 2026, 09:00 UTC'; without the year where it is this one."""
    year = "" if value.year == now.year else f" {value.year}"
    return f"{value:%a} {value.day} {value:%B}{year}, {value:%H:%M} UTC"


def distance(value: dt.datetime, now: dt.datetime) -> str:
    """How far away a time is, in words: 'in 5 hours', '2 days ago'."""
    seconds = (value - now).total_seconds()
    minutes = max(round(abs(seconds) / 60), 1)
    if minutes < 60:
        words = _count(minutes, "minute")
    elif minutes < 48 * 60:
        words = _count(round(minutes / 60), "hour")
    else:
        words = _count(round(minutes / 1440), "day")
    return f"in {words}" if seconds > 0 else f"{words} ago"


def days_away(day: dt.date, today: dt.date) -> str:
    """The same for a day, which has no hour: 'today', 'in 1 day', '12 days ago'."""
    days = (day - today).days
    return f"in {_count(days, 'day')}" if days > 0 else f"{_count(-days, 'day')} ago" if days else "today"


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _form_for(step: str, posted: Posted) -> str:
    """The form that keeps what was typed: the one it came from, or that of a note where that one is gone meanwhile."""
    shown = {"note", "hand_over"}
    shown |= {"reopen"} if step == CLOSED else {"outcome", "contacted" if step == OPEN else "step"}
    do = posted.get("do", "")
    return do if do in shown or not posted.get("note") else "note"


def _state(place: int, reached: int) -> str:
    return "done" if place <= reached else "now" if place == reached + 1 else "todo"


def _clocks(row: Mapping[str, Any], now: dt.datetime) -> list[dict[str, Any]]:
    if row["first_contact_at"]:
        kept = row["first_contact_at"] <= row["due_at"]
        words = "in time" if kept else "after the time that was promised"
        return [
            {"name": "First contact", "when": moment(row["first_contact_at"], now), "words": words, "late": not kept}
        ]
    if row["status"] == CLOSED:
        return []
    return [
        {"name": name, "when": moment(at, now), "words": distance(at, now), "late": at < now}
        for name, at in (("Acknowledge by", row["acknowledge_due_at"]), ("First contact at the latest", row["due_at"]))
    ]


def _facts(alert: Mapping[str, Any], now: dt.datetime) -> list[tuple[str, str]]:
    account = alert.get("account") or {}
    facts = []
    if account.get("tier"):
        facts.append(("Tier", str(account["tier"])))
    if (value := account.get("contract_value")) is not None:
        facts.append(("Contract value", f"{float(value):,.0f}"))
    if account.get("renewal_date"):
        day = parse_time(str(account["renewal_date"]))
        facts.append(("Renewal", f"{day.day} {day:%B %Y}, {days_away(day.date(), now.date())}"))
    if account.get("open_cases") is not None:
        facts.append(("Open cases", str(account["open_cases"])))
    if account.get("customer_since"):
        day = parse_time(str(account["customer_since"]))
        facts.append(("Customer since", f"{day:%B %Y}"))
    return facts


def _earlier(alert: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "score": one["score"],
            "band": band_of(one["score"]).value,
            "on": one["on"],
            "whose": "" if one.get("same_contact") else "a colleague there",
        }
        for one in alert.get("earlier") or ()
    ]


def _further(survey: Any, answer: Mapping[str, Any], payload: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The further questions that were answered, with the words of the choices."""
    given = answer["answers"] or {}
    given = given if isinstance(given, dict) else {}
    if survey is None or not given:
        return []
    shown, values = [], values_of(payload)
    for question in survey.questions:
        if answer["score"] in question.for_scores and (said := given.get(question.id)):
            labels = {choice.id: fill(choice.label, values) for choice in question.choices}
            chosen = said if isinstance(said, list) else [said]
            shown.append((fill(question.text, values), ", ".join(labels.get(one, one) for one in chosen)))
    return shown


def _course(course: Sequence[Mapping[str, Any]], now: dt.datetime) -> list[dict[str, str]]:
    """What happened, the newest first."""
    shown = []
    for one in course:
        said = one["payload"]
        if one["kind"] == "answered":
            what = (
                f"Answered {said['score']} of 10" if said.get("counted", True) else "Answered again, too late to count"
            )
            words = ""
        elif one["kind"] == "followup_step":
            what, words = IN_WORDS.get(said["step"], said["step"]), said.get("note", "")
        elif one["kind"] == "outcome":
            what, words = f"Closed: {IN_WORDS.get(said['outcome'], said['outcome']).lower()}", said.get("note", "")
        else:
            what, words = HAPPENED[one["kind"]], said.get("note") or said.get("why", "")
        shown.append({"what": what, "words": words, "who": said.get("by", ""), "when": moment(one["occurred_at"], now)})
    return shown[::-1]


def _action_words(key: str) -> str:
    """`detractor.task` as people read it."""
    workflow, dot, action = key.partition(".")
    if not dot:
        return {
            "record": "Answer in the CRM",
            "sla_warning": "Warning before the promise breaks",
            "escalation": "Escalation",
        }.get(key, key.partition(":")[0].replace("_", " ").capitalize())
    return action.replace("-", " ").replace(":", " ").capitalize()
