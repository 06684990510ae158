"""What the newest publication knows of a customer, for those who follow up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import duckdb

from closedloop.programme.filters import FIELDS
from closedloop.settings import Settings
from dispatch.knowledge import EarlierAnswer, Knowledge, Known, NothingKnown
from orchestration.reports import marts, rows

_RENAMED = {"name": "account_name", "type": "account_type"}
_EARLIER = """
select survey_id, score, submitted_at, contact_id = ? as is_same_contact
from marts.fct_responses
where contact_id = ? or account_id = ?
order by contact_id = ? desc, submitted_at desc, response_id
limit 10
"""
_TABLES = "select table_name from information_schema.tables where table_schema = 'marts'"
_CUSTOM = "select field, value from marts.dim_custom_fields where subject = ? and subject_id = ?"
_CUSTOM_BEFORE = "select null as field, null as value where ? = ? and false"
"""A publication from before there was such a mart."""


def knowledge_of(settings: Settings) -> Knowledge:
    """The newest publication's; nothing before the first one."""
    return PublishedKnowledge(settings) if settings.marts_file.exists() else NothingKnown()


class PublishedKnowledge:
    """One reader of the marts as they stood when it was made."""

    def __init__(self, settings: Settings) -> None:
        self._con = marts(settings)
        tables = {name for (name,) in self._con.execute(_TABLES).fetchall()}
        self._custom = _CUSTOM if "dim_custom_fields" in tables else _CUSTOM_BEFORE
        self.left = frozenset(
            user for (user,) in self._con.execute("select user_id from marts.dim_users where not is_active").fetchall()
        )

    def of(self, contact_id: str, account_id: str | None) -> Known:
        """What is known of one contact and its account."""
        contact = self._fields("contact", contact_id)
        account = self._fields("account", account_id) if account_id else {}
        found = rows(self._con, _EARLIER, [contact_id, contact_id, account_id, contact_id])
        return Known(contact, account, tuple(EarlierAnswer(**row) for row in found))

    def _fields(self, subject: str, key: str) -> dict[str, Any]:
        found = rows(self._con, f"select * from marts.dim_{subject}s where {subject}_id = ?", [key])
        if not found:
            return {}
        known = {name: found[0].get(_RENAMED.get(name, name)) for name in FIELDS[subject]}
        return known | {row["field"]: row["value"] for row in rows(self._con, self._custom, [subject, key])}


def confirmed_among(settings: Settings, invitation_ids: Iterable[str]) -> list[str]:
    """Which of these invitations have an answer in the published marts: provisional answers that the models confirmed."""
    ids = list(invitation_ids)
    if not ids or not settings.marts_file.exists():
        return []
    with marts(settings) as con:
        return _among(con, ids)


def _among(con: duckdb.DuckDBPyConnection, ids: list[str]) -> list[str]:
    found = con.execute(
        "select response_id from marts.fct_responses where response_id in (select unnest(?)) order by 1", [ids]
    )
    return [response_id for (response_id,) in found.fetchall()]
