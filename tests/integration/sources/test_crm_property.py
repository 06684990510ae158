"""Whatever series of full exports comes, in one go or one by one: what the lake says is now is the last export."""

from __future__ import annotations

import datetime as dt
import json
import tempfile
from pathlib import Path

import duckdb
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from closedloop.lake import Lake
from closedloop.settings import Settings
from ingestion.sources.crm import ingest_crm
from ingestion.sources.mapping import Mapping

NOW = dt.datetime(2026, 3, 2, 9, 0, tzinfo=dt.UTC)
names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="\u00a0"), max_size=8)
export = st.dictionaries(
    st.sampled_from("abcdefgh"), st.tuples(names, st.sampled_from(["2026-01-01", "2025-06-01", ""]))
)


def csv_of(rows: dict[str, tuple[str, str]]) -> str:
    lines = ["Id,Name,SystemModstamp"]
    for key, (name, stamp) in rows.items():
        quoted = name.replace('"', '""')
        lines.append(f'{key},"{quoted}",{stamp}')
    return "\n".join(lines) + "\n"


@hypothesis_settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(series=st.lists(export, min_size=1, max_size=5), together=st.booleans())
def test_the_latest_state_is_the_last_export(series: list, together: bool, salesforce: Mapping) -> None:
    with tempfile.TemporaryDirectory() as folder:
        drop = Path(folder) / "drop"
        exports = []
        for number, rows in enumerate(series):
            path = drop / f"{number}"
            path.mkdir(parents=True)
            (path / "Account.csv").write_text(csv_of(rows), encoding="utf-8")
            (path / "export.json").write_text(json.dumps({"exported_at": f"2026-01-0{number + 1}", "mode": "full"}))
            exports.append(path)
        with Lake.open(Settings(home=Path(folder) / "home", _env_file=None)) as lake:
            for path in [drop] if together else exports:
                report = ingest_crm(lake, path, salesforce, now=NOW, max_deletion_share=1.0)
            with duckdb.connect() as con:
                lake.create_views(con, lake.cut())
                state = con.execute(
                    "select Id, coalesce(Name, '') from lake.crm_account "
                    "qualify row_number() over (partition by Id order by _exported_at desc) = 1 and _op = 'upsert'"
                ).fetchall()
                versions = con.execute(
                    "select count(*) from (select _row_hash, lag(_row_hash) over (partition by Id order by _exported_at) "
                    "as before from lake.crm_account) where _row_hash = before"
                ).fetchall()
        assert dict(state) == {key: name.strip(" \t\r\n\u00a0") for key, (name, _) in series[-1].items()}
        assert versions == [(0,)]
        assert report.rows_read == report.loaded + report.unchanged + sum(report.quarantined.values())
