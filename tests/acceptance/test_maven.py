"""A real foreign CRM through the command line: 8,800 deals in two date formats, with typos and holes, as far as the marts.

Both copies of the files go through the same mapping into a home each; what comes out must be the same.
"""

from __future__ import annotations

import datetime as dt
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from command_line import CommandLine

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
TODAY = dt.datetime(2018, 1, 1, 9, 0, tzinfo=dt.UTC)
"""The day after the last deal of the files; programmes are known from now on, and reach 14 days back."""
AS_OF, KNOWN_AT = "2017-12-20T00:00Z", "2018-01-01T21:00Z"
BY_HOME = {"publication_audit": {"publication_id", "build_id", "published_at", "checks_passed"}}
"""Columns that say when and where a home learned something; so do the quarantine's file, time and key of the raw text."""
OF_ALL = {"file", "row_key", "quarantined_at", "first_known_at"}


@dataclass
class Taken:
    """One home: what the ingest reported, and the home itself."""

    cli: CommandLine
    report: dict


@pytest.fixture(scope="module")
def homes(realdata: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Taken]:
    """Both forms ingested and built, side by side."""
    taken, builds = {}, {}
    offset = str((TODAY - dt.datetime.now(dt.UTC)).total_seconds())
    for form, source in (("american", realdata / "maven_crm"), ("iso", realdata / "maven_crm" / "original")):
        folder = tmp_path_factory.mktemp(form)
        files = shutil.copytree(source, folder / form, ignore=shutil.ignore_patterns("original"))
        (files / "export.json").write_text('{"exported_at": "2018-01-01T00:00:00Z", "mode": "full"}')
        cli = CommandLine(folder / "home", CLOSEDLOOP_CLOCK_OFFSET_SECONDS=offset)
        done = cli.run("ingest", "crm", files, "--mapping", ROOT / "mappings" / "maven_crm.yml", "--json")
        taken[form] = Taken(cli, json.loads(done.stdout))
        command = cli.command("build", "--as-of", AS_OF, "--known-at", KNOWN_AT)
        builds[form] = subprocess.Popen(command, env=cli.environment, stderr=subprocess.PIPE, text=True)
    for form, build in builds.items():
        said = build.communicate(timeout=600)[1]
        assert build.returncode == 0, (form, said)
    return taken


def test_every_row_is_loaded_or_waits_with_its_reason(homes: dict[str, Taken]) -> None:
    for form, home in homes.items():
        objects = home.report["objects"]
        for name, counts in objects.items():
            waiting = sum(counts["quarantined"].values())
            assert counts["rows_read"] == counts["loaded"] + counts["unchanged"] + waiting, (form, name)
        assert {name: (counts["loaded"], counts["quarantined"]) for name, counts in objects.items()} == {
            "account": (85, {}),
            "contact": (85, {}),
            "user": (41, {}),
            "product": (7, {}),
            "opportunity": (7375, {"required_empty": 1425}),
        }, form
        assert home.report["errors"] == []
        assert [text.rpartition("/")[2].partition(":")[0] for text in home.report["warnings"]] == [
            "data_dictionary.csv"
        ]
        # Each deal that waits is listed for people, once, with what to do.
        listed = "select object, field, reason, count(*), count(distinct line), min(remedy) from marts.rpt_quarantine group by 1, 2, 3"
        assert home.cli.marts(listed) == [
            (
                "opportunity", "AccountId", "required_empty", 1425, 1425,
                "fill it in the source, or give the field a default in the mapping",
            ),
        ]  # fmt: skip


def test_mistyped_products_are_mapped(homes: dict[str, Taken], realdata: Path) -> None:
    file = realdata / "maven_crm" / "sales_pipeline.csv"
    with duckdb.connect() as con:
        mistyped, right = con.execute(
            "select count(*) filter (where product = 'GTXPro'), count(*) filter (where product = 'GTX Pro') "
            "from read_csv(?, all_varchar = true) where account is not null",
            [str(file)],
        ).fetchall()[0]
    assert mistyped > 0
    for form, home in homes.items():
        products = dict(home.cli.lake("select Product2Id__c, count(*) from lake.crm_opportunity group by 1"))
        assert products["GTX Pro"] == mistyped + right, form
        assert set(products) == {name for (name,) in home.cli.lake("select Id from lake.crm_product")}, form


def test_both_date_formats_lead_to_the_same_marts(homes: dict[str, Taken]) -> None:
    american, iso = (home.cli for home in homes.values())
    tables = [
        name
        for (name,) in american.marts(
            "select table_name from information_schema.tables where table_schema = 'marts' order by 1"
        )
    ]
    assert {"dim_accounts", "survey_queue", "rpt_quarantine", "publication_audit"} < set(tables)
    for table in tables:
        columns = [name for name, *_ in american.marts(f"describe marts.{table}")]
        kept = [name for name in columns if name not in OF_ALL | BY_HOME.get(table, set())]
        query = f"select {', '.join(kept)} from marts.{table} order by all"
        assert american.marts(query) == iso.marts(query), table


def test_won_deals_lead_to_proposals(homes: dict[str, Taken], realdata: Path) -> None:
    """Due three days after the deal, and at most 14 days before the programme was known: all but one a contact."""
    with duckdb.connect() as con:
        deals, contacts = con.execute(
            "select count(*), count(distinct account) from read_csv(?) where deal_stage = 'Won' and account is not null "
            "and close_date + interval 3 day between timestamp '2017-12-18 09:00' and timestamp '2017-12-20'",
            [str(realdata / "maven_crm" / "original" / "sales_pipeline.csv")],
        ).fetchall()[0]
    for home in homes.values():
        proposals = "select survey_id, decision, deciding_rule, count(*) from marts.survey_queue group by all"
        found = {(survey, decision, rule): count for survey, decision, rule, count in home.cli.marts(proposals)}
        assert found == {
            ("post-close", "ask", "passed"): contacts,
            ("post-close", "skip", "one_per_wave"): deals - contacts,
        }
        owned = home.cli.marts(
            "select count(*), count(a.owner_id), count(u.manager_id), count(u.region) from marts.survey_queue as q "
            "join marts.dim_accounts as a using (account_id) left join marts.dim_users as u on u.user_id = a.owner_id"
        )
        assert owned == [(deals, deals, deals, deals)]
    contact = home.cli.marts("select min(contact_id) from marts.survey_queue where decision = 'ask'")[0][0]
    assert "nothing speaks against asking" in home.cli.run("explain", "--contact", contact).stdout
