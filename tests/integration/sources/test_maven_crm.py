"""A real foreign CRM through its mapping: 85 accounts, 35 agents, 7 products, 8,800 deals, in two date formats."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from pathlib import Path

import duckdb
import pytest

from closedloop.lake import Lake
from closedloop.settings import Settings
from ingestion.sources.crm import CrmReport, ingest_crm


def take(folder: Path, home: Path, mapping, now: dt.datetime) -> tuple[CrmReport, duckdb.DuckDBPyConnection]:
    """Ingests a copy of the folder, taken at a fixed time, into a fresh home."""
    export = home.parent / f"{home.name}-export"
    shutil.copytree(folder, export, ignore=shutil.ignore_patterns("original"))
    (export / "export.json").write_text(json.dumps({"exported_at": "2018-01-01T00:00:00Z", "mode": "full"}))
    with Lake.open(Settings(home=home, _env_file=None)) as lake:
        report = ingest_crm(lake, export, mapping, now=now)
        con = duckdb.connect()
        lake.create_views(con, lake.cut())
    return report, con


@pytest.fixture(scope="module")
def taken(realdata: Path, maven, tmp_path_factory: pytest.TempPathFactory):
    now = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
    home = tmp_path_factory.mktemp("maven")
    return {
        "M/D/YYYY": take(realdata / "maven_crm", home / "american", maven, now),
        "ISO": take(realdata / "maven_crm" / "original", home / "iso", maven, now),
    }


@pytest.mark.parametrize("form", ["M/D/YYYY", "ISO"])
def test_all_is_loaded_but_the_deals_without_account(taken, form: str) -> None:
    report, con = taken[form]
    assert {name: (r.loaded, r.quarantined) for name, r in report.objects.items()} == {
        "account": (85, {}),
        "contact": (85, {}),
        "user": (41, {}),
        "product": (7, {}),
        "opportunity": (7375, {"required_empty": 1425}),
    }
    assert not report.errors
    assert con.execute(
        "select field, reason, count(*), min(line) > 1 from lake.quarantine_rows group by 1, 2"
    ).fetchall() == [("AccountId", "required_empty", 1425, True)]


def test_both_date_formats_lead_to_the_same_rows(taken) -> None:
    for name in ("account", "contact", "user", "product", "opportunity"):
        query = f"select * exclude (_source, _batch_id) from lake.crm_{name} order by Id"
        first, second = (con.execute(query).fetchall() for _, con in taken.values())
        assert first == second, name


def test_typos_holes_and_derived_fields(taken) -> None:
    con = taken["ISO"][1]

    def one(query: str) -> tuple:
        return con.execute(query).fetchall()[0]

    assert one("select count(*) from lake.crm_account where Industry = 'technolgy'") == (0,)
    assert one("select count(*) from lake.crm_account where Industry = 'technology'") == (12,)
    assert one(
        "select count(*) from lake.crm_opportunity where Product2Id__c not in (select Id from lake.crm_product)"
    ) == (0,)
    assert one(
        "select count(*) from lake.crm_opportunity where IsWon = 'true' and IsClosed = 'true' and CloseDate is not null"
    ) == (4238,)
    assert one("select count(*) from lake.crm_user where ManagerId in (select Id from lake.crm_user)") == (35,)
    # Each account is owned by the agent of its newest deal, lies in that agent's region and has one contact.
    assert one("""
        select count(*) from lake.crm_account as a
        join (select AccountId, arg_max(OwnerId, (CreatedDate, Id)) as owner, min(CreatedDate) as since
              from lake.crm_opportunity group by 1) as d on d.AccountId = a.Id and d.owner = a.OwnerId and d.since = a.CreatedDate
        join lake.crm_user as u on u.Id = a.OwnerId and u.Region__c = a.Region__c
        join lake.crm_contact as c on c.AccountId = a.Id and c.Email like 'contact@%.example' and c.IsPrimary__c = 'true'
    """) == (85,)
    assert one("select count(distinct Email) from lake.crm_contact") == (85,)
    assert one("select min(CustomerSince__c), max(revenue is null) from lake.crm_account")[1] is False


def test_the_same_files_in_the_other_format_change_nothing(realdata: Path, maven, tmp_path: Path, now) -> None:
    take(realdata / "maven_crm", tmp_path / "home", maven, now)
    report, _ = take_again(realdata / "maven_crm" / "original", tmp_path, maven, now)
    assert (report.loaded, report.deleted, report.unchanged) == (0, 0, 85 + 85 + 41 + 7 + 7375)


def take_again(folder: Path, tmp_path: Path, maven, now) -> tuple[CrmReport, None]:
    with Lake.open(Settings(home=tmp_path / "home", _env_file=None)) as lake:
        return ingest_crm(lake, folder, maven, now=now), None
