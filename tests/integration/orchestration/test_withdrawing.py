"""What is planned and no longer passes a rule about who is withdrawn by the next publication, with that rule as reason."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest
import yaml
from sqlalchemy import select

from closedloop.lake import Lake
from closedloop.ledger import Ledger
from closedloop.ledger.books import books
from closedloop.ledger.lists import exclude_add
from closedloop.ledger.schema import messages
from closedloop.settings import Settings
from orchestration import work

pytestmark = pytest.mark.slow

LEARNED = "2026-03-01T12:00:00Z"
PEOPLE = {"stays": "big", "court": "big", "left": "big", "optout": "big", "small": "small", "waits": "big"}


def _crm(lake: Lake, name: str, *records: dict[str, str], at: dt.datetime) -> None:
    rows = [
        {
            "CreatedDate": "2026-02-20T00:00:00Z",
            "SystemModstamp": "2026-02-20T00:00:00Z",
            "IsDeleted": "false",
            "_op": "upsert",
            "_row_hash": f"{record['Id']}{at}",
            "_exported_at": at,
            **record,
        }
        for record in records
    ]
    columns = sorted({column for row in rows for column in row})
    table = pa.table({column: [row.get(column) for row in rows] for column in columns})
    lake.append(f"crm.{name}", table, batch_id=f"{name}-{at}", ingested_at=at, source="test")


def _programme(settings: Settings, name: str, event: str, status: str = "active", **more: object) -> None:
    survey = {"id": name, "name": name, "type": "transactional", "status": status, "company": "Northwind Cloud"}
    (settings.surveys / f"{name}.yml").write_text(yaml.safe_dump({**survey, "triggers": [{"event": event}], **more}))


@pytest.fixture
def settings(tmp_path) -> Settings:
    settings = Settings(home=tmp_path / "home", surveys=tmp_path / "surveys", _env_file=None)
    settings.ensure_home()
    settings.surveys.mkdir()
    return settings


def _contact(name: str, **more: str) -> dict[str, str]:
    return {
        "Id": name,
        "AccountId": PEOPLE[name],
        "Email": f"{name}@customer.example",
        "HasOptedOutOfEmail": "false",
        **more,
    }


def test_what_fails_a_rule_about_who_after_the_seal_is_withdrawn(settings: Settings, now: dt.datetime) -> None:
    _programme(settings, "support", "ticket_resolved")
    _programme(settings, "first-contact", "support_contact")
    with Lake.open(settings) as lake:
        earlier = now - dt.timedelta(hours=1)
        accounts = [{"Id": name, "Name": name, "Tier__c": tier} for name, tier in (("big", "Top"), ("small", "SMB"))]
        _crm(lake, "account", *accounts, at=earlier)
        _crm(lake, "contact", *map(_contact, PEOPLE), at=earlier)
        closed = {"IsClosed": "true", "Status": "Closed", "ClosedDate": "2026-03-01T10:00:00Z"}
        cases = [
            {"Id": f"case-{name}", "AccountId": account, "ContactId": name, "CreatedDate": "2026-01-01T00:00:00Z"}
            | (closed if name != "waits" else {"IsClosed": "false", "CreatedDate": LEARNED})
            for name, account in PEOPLE.items()
        ]
        _crm(lake, "case", *cases, at=earlier)
    publication = work.build(settings, now=lambda: now)
    assert work.seal(settings, publication, now=now).asks == len(PEOPLE)

    later = now + dt.timedelta(hours=2)
    _programme(settings, "support", "ticket_resolved", audience={"where": "account.tier = 'Top'"})
    _programme(settings, "first-contact", "support_contact", "paused", audience={"where": "account.tier = 'None'"})
    with Ledger.open(settings) as ledger:
        exclude_add(ledger, "contact", "court", reason="in court", author="x", now=later)
    with Lake.open(settings) as lake:
        changed = {"SystemModstamp": "2026-03-02T10:00:00Z"}
        gone = _contact("left", IsDeleted="true", **changed) | {"_op": "delete"}
        _crm(lake, "contact", gone, _contact("optout", HasOptedOutOfEmail="true", **changed), at=later)
    work.build(settings, now=lambda: later)

    with Ledger.open(settings) as ledger:
        with ledger.read() as conn:
            found = conn.execute(select(messages.c.contact_id, messages.c.state, messages.c.state_reason)).tuples()
            ends = {name: (state, reason) for name, state, reason in found}
        assert ends == {
            "stays": ("pending", None),
            "court": ("suppressed", "excluded"),
            "left": ("suppressed", "contact_gone"),
            "optout": ("suppressed", "opted_out"),
            "small": ("suppressed", "audience"),
            "waits": ("pending", None),  # its survey is paused: no reason
        }
        assert all(book.balanced for book in books(ledger))
        assert sum(book.suppressed for book in books(ledger)) == 4
