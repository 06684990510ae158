"""What a message of the past says about whom: its ids, and the payload that pages, follow-ups and reports read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from closedloop.identity import person_key
from closedloop.programme import Survey
from demo.columns import record_id, record_ids
from demo.company import Company
from demo.crm_people import email_of
from demo.names import FIRST_NAMES, LAST_NAMES
from demo.people import LANGUAGES, ZONES
from demo.rounds import EVENTS, Candidates


class Letters:
    """Ids and payloads for one company and programme."""

    def __init__(self, company: Company, surveys: Sequence[Survey]) -> None:
        self.company, self.surveys = company, surveys
        self.definitions = {survey.id: survey.model_dump(mode="json") for survey in surveys}

    def of_round(self, due: Candidates, as_of: int) -> list[dict[str, Any]]:
        """The ids that decision, message and events of each candidate share, and what the payload needs."""
        contacts = self.company.contacts
        day = datetime.fromtimestamp(as_of, UTC).date().isoformat()
        emails = email_of(self.company.accounts, contacts, due.contact).to_pylist()
        contact_ids = record_ids("Contact", due.contact).to_pylist()
        account_ids = record_ids("Account", contacts.account[due.contact]).to_pylist()
        letters = []
        for row, survey in enumerate(due.survey.tolist()):
            survey_id = self.surveys[survey].id
            letters.append(
                {
                    "candidate_id": due.ids[row],
                    "contact_id": contact_ids[row],
                    "account_id": account_ids[row],
                    "person_key": person_key(emails[row]) if emails[row] else None,
                    "survey_id": survey_id,
                    "wave_id": f"{survey_id}:{day}",
                    "email": emails[row],
                    "trigger_event": EVENTS[due.event[row]].value,
                    "trigger_record_id": due.records[row],
                }
            )
        return letters

    def payload(self, contact: int, survey: Survey, letter: dict[str, Any], at: int, *, whole: bool) -> dict[str, Any]:
        """As a live seal writes it; without the survey's definition where `whole` is False."""
        company, contacts = self.company, self.company.contacts
        account = int(contacts.account[contact])
        owner = int(company.accounts.owner_at(np.array([account]), np.array([at]))[0])
        first, last = FIRST_NAMES[contacts.first[contact]], LAST_NAMES[contacts.last[contact]]
        payload = {
            "email": letter["email"],
            "first_name": first,
            "last_name": last,
            "language": LANGUAGES[contacts.language[contact]],
            "time_zone": ZONES[contacts.zone[contact]],
            "account_name": company.accounts.names[account],
            "contact_name": f"{first} {last}",
            "company": survey.company,
            "survey_type": survey.type,
            "trigger_event": letter["trigger_event"],
            "trigger_record_id": letter["trigger_record_id"],
            **self._staff("owner", owner),
            **self._staff("manager", int(company.staff.manager[owner])),
            **self._staff("csm", int(company.accounts.csm[account])),
        }
        return {**payload, "definition": self.definitions[survey.id]} if whole else payload

    def _staff(self, role: str, number: int) -> dict[str, str | None]:
        if number < 0:
            return dict.fromkeys((f"{role}_id", f"{role}_name", f"{role}_email"))
        staff = self.company.staff
        return {
            f"{role}_id": record_id("User", number),
            f"{role}_name": staff.names[number],
            f"{role}_email": staff.emails[number],
        }
