"""The exports are believable: the same by seed, whole in their references, and the deltas lead to the last state."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import csv

from closedloop.errors import BadInput
from closedloop.settings import Settings
from demo.company import Company, make_company

TODAY = dt.date(2026, 3, 2)

OBJECTS = (
    "Account", "Adoption__c", "Asset", "Case", "Contact", "Contract", "Lead", "Opportunity", "OpportunityContactRole",
    "Order", "OrderItem", "Product2", "Project__c", "SignUp__c", "Task", "User",
)  # fmt: skip

REFERENCES = {
    ("Account", "OwnerId"): "User",
    ("Account", "CSM__c"): "User",
    ("Account", "ParentId"): "Account",
    ("Contact", "AccountId"): "Account",
    ("User", "ManagerId"): "User",
    ("Opportunity", "AccountId"): "Account",
    ("Opportunity", "OwnerId"): "User",
    ("Opportunity", "Product2Id__c"): "Product2",
    ("OpportunityContactRole", "OpportunityId"): "Opportunity",
    ("OpportunityContactRole", "ContactId"): "Contact",
    ("Project__c", "Account__c"): "Account",
    ("Project__c", "Opportunity__c"): "Opportunity",
    ("Project__c", "Manager__c"): "User",
    ("Order", "AccountId"): "Account",
    ("Order", "BillToContactId"): "Contact",
    ("OrderItem", "OrderId"): "Order",
    ("OrderItem", "Product2Id"): "Product2",
    ("Contract", "AccountId"): "Account",
    ("Task", "WhatId"): "Account",
    ("Task", "WhoId"): "Contact",
    ("Task", "OwnerId"): "User",
    ("Case", "AccountId"): "Account",
    ("Case", "ContactId"): "Contact",
    ("Case", "OwnerId"): "User",
    ("Asset", "AccountId"): "Account",
    ("Asset", "ContactId"): "Contact",
    ("Asset", "Product2Id"): "Product2",
    ("Lead", "ConvertedContactId"): "Contact",
    ("SignUp__c", "Lead__c"): "Lead",
    ("SignUp__c", "Contact__c"): "Contact",
    ("Adoption__c", "Account__c"): "Account",
}

Rows = dict[str, dict[str, str]]


def read(path: Path) -> list[dict[str, str]]:
    with path.open("rb") as stream:
        names = stream.readline().decode().strip().replace('"', "").split(",")
    options = csv.ConvertOptions(column_types={name: pa.string() for name in names}, strings_can_be_null=False)
    return csv.read_csv(path, convert_options=options).to_pylist()


def fingerprint(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def states(company: Company) -> list[dict[str, Rows]]:
    """What the CRM holds after each export."""
    held: dict[str, Rows] = {name: {} for name in OBJECTS}
    after = []
    for export in company.exports:
        full = json.loads((export / "export.json").read_text())["mode"] == "full"
        for name in OBJECTS:
            path = export / f"{name}.csv"
            rows = read(path) if path.exists() else []
            if full:
                held[name] = {}
            for row in rows:
                if row["IsDeleted"] == "true":
                    held[name].pop(row["Id"], None)
                else:
                    held[name][row["Id"]] = row
        after.append({name: dict(rows) for name, rows in held.items()})
    return after


@pytest.fixture(scope="module")
def history(company: Company) -> list[dict[str, Rows]]:
    return states(company)


def test_the_same_seed_gives_the_same_bytes_and_another_one_does_not(company: Company, tmp_path: Path) -> None:
    again = make_company(tmp_path / "again", contacts=200, seed=7, today=TODAY)
    other = make_company(tmp_path / "other", contacts=200, seed=8, today=TODAY)
    assert fingerprint(again.folder) == fingerprint(company.folder)
    assert (
        fingerprint(other.folder)["2026-03-02-full/Contact.csv"]
        != fingerprint(company.folder)["2026-03-02-full/Contact.csv"]
    )


def test_the_exports_span_24_months_and_end_today(company: Company) -> None:
    facts = [json.loads((export / "export.json").read_text()) for export in company.exports]
    assert [fact["mode"] for fact in facts] == ["full", *["delta"] * 23, "full"]
    assert facts[0]["exported_at"] == "2024-03-02T00:00:00Z"
    assert facts[-1]["exported_at"] == "2026-03-02T00:00:00Z"
    assert [fact["exported_at"] for fact in facts] == sorted(fact["exported_at"] for fact in facts)
    for export in (company.exports[0], company.exports[-1]):
        assert {path.stem for path in export.glob("*.csv")} == set(OBJECTS)


def test_nothing_is_known_before_it_happened(company: Company) -> None:
    for export in company.exports:
        until = json.loads((export / "export.json").read_text())["exported_at"].replace("Z", ".000Z")
        for path in export.glob("*.csv"):
            for row in read(path):
                assert row["CreatedDate"] <= row["SystemModstamp"] <= until, path.name


def test_the_deltas_lead_to_the_last_full_export(history: list[dict[str, Rows]], company: Company) -> None:
    """What the deltas have told by the last month is in the full export, but for what changed or went since."""
    before, last = history[-2], history[-1]
    since = json.loads((company.exports[-2] / "export.json").read_text())["exported_at"].replace("Z", ".000Z")
    for name in OBJECTS:
        unchanged = {key: row for key, row in last[name].items() if row["SystemModstamp"] <= since}
        assert all(before[name][key] == row for key, row in unchanged.items()), name
        assert all(key in before[name] for key, row in last[name].items() if row["CreatedDate"] <= since), name


def test_every_reference_leads_somewhere_after_every_export(history: list[dict[str, Rows]]) -> None:
    for held in history:
        for (name, field), target in REFERENCES.items():
            dangling = [row["Id"] for row in held[name].values() if row[field] and row[field] not in held[target]]
            assert not dangling, (name, field)


def test_the_past_changes(company: Company, history: list[dict[str, Rows]]) -> None:
    """Owners move, tiers change, records go: without that, history would not matter."""
    first, last = history[0], history[-1]
    both = first["Account"].keys() & last["Account"].keys()
    for field in ("OwnerId", "Tier__c", "AdoptionScore__c", "LifetimeValue__c"):
        assert any(first["Account"][key][field] != last["Account"][key][field] for key in both), field
    assert first["Contact"].keys() - last["Contact"].keys()
    assert any(row["IsActive"] == "false" for row in last["User"].values())
    deleted = [row for export in company.exports for row in _deleted(export / "Contact.csv")]
    assert deleted


def _deleted(path: Path) -> list[dict[str, str]]:
    return [row for row in read(path) if row["IsDeleted"] == "true"] if path.exists() else []


def test_who_is_there_can_be_asked(history: list[dict[str, Rows]]) -> None:
    contacts = history[-1]["Contact"].values()
    may_receive = Settings(_env_file=None).may_receive
    addresses = [row["Email"].lower() for row in contacts if row["Email"]]
    assert all(may_receive(address) and address.isascii() and address.endswith(".example") for address in addresses)
    assert len(addresses) < len(contacts), "someone has no address"
    assert any(row["HasOptedOutOfEmail"] == "true" for row in contacts)
    assert len({row["Role__c"] for row in contacts}) == 4
    primaries = [row["AccountId"] for row in contacts if row["IsPrimary__c"] == "true"]
    assert len(primaries) == len(set(primaries)) == len(history[-1]["Account"])


def test_one_address_stands_on_two_accounts(tmp_path: Path) -> None:
    company = make_company(tmp_path, contacts=1000, seed=7, today=TODAY)
    contacts = read(company.exports[-1] / "Contact.csv")
    accounts: dict[str, set[str]] = {}
    for row in contacts:
        if row["Email"]:
            accounts.setdefault(row["Email"].lower(), set()).add(row["AccountId"])
    shared = [found for found in accounts.values() if len(found) > 1]
    assert 2 <= len(shared) <= 20
    written = {row["Email"] for row in contacts if row["Email"]}
    assert len(written) > len(accounts), "the same address is also written in other case"


def test_the_last_days_have_events_to_ask_about(history: list[dict[str, Rows]]) -> None:
    last = history[-1]
    won = [row["CloseDate"] for row in last["Opportunity"].values() if row["IsWon"] == "true"]
    solved = [row["ClosedDate"][:10] for row in last["Case"].values() if row["IsClosed"] == "true"]
    assert sum("2026-02-20" <= date <= "2026-02-27" for date in won) >= 2
    assert sum("2026-02-20" <= date <= "2026-03-01" for date in solved) >= 3
    midnight = dt.datetime(2026, 3, 2)  # noqa: DTZ001 the exports are in UTC
    ages = [(midnight - dt.datetime.fromisoformat(row["CreatedDate"][:19])).days for row in last["Contact"].values()]
    assert sum(age >= 90 and age % 90 < 14 for age in ages) >= 10


@pytest.mark.parametrize("contacts", [20, 61, 997])
def test_sizes(tmp_path: Path, contacts: int) -> None:
    company = make_company(tmp_path, contacts=contacts, seed=3, today=dt.date(2024, 2, 29))
    assert company.size == contacts
    assert 0.9 * contacts < company.rows["Contact"] <= contacts


def test_a_company_of_nobody_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="at least 20 contacts"):
        make_company(tmp_path, contacts=0, today=TODAY)
