"""What a seal puts into a message: whoever left the company is named in none."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from orchestration.seal import _MESSAGES, _rows


@pytest.mark.parametrize("gone", ["", "U1", "U2", "U3"])
def test_only_colleagues_who_are_still_here_are_told(tmp_path: Path, gone: str) -> None:
    marts = tmp_path / "marts-p1.duckdb"
    with duckdb.connect(str(marts)) as con:
        con.execute("create schema marts")
        con.execute(
            "create table marts.survey_queue as select 'k' candidate_id, 'c' contact_id, 'a' account_id, 'ask' decision"
        )
        con.execute(
            "create table marts.dim_contacts as select 'c' contact_id, 'c@x.example' email, 'Ada' first_name, "
            "'L' last_name, 'en' as language, 'UTC' time_zone"
        )
        con.execute(
            "create table marts.dim_accounts as select 'a' account_id, 'Acme' account_name, 'U1' owner_id, 'U3' csm_id"
        )
        con.execute(
            "create table marts.dim_users as select *, user_id <> ? as is_active from (values ('U1', 'Olga', 'o@x.example', "
            "'U2'), ('U2', 'Max', 'm@x.example', null), ('U3', 'Cleo', 'c@x.example', null)) "
            "as u (user_id, user_name, email, manager_id)",
            [gone],
        )
    [row] = _rows(marts, _MESSAGES)
    named = {role: row[f"{role}_id"] for role in ("owner", "manager", "csm")}
    wanted = {"owner": "U1", "manager": "U2", "csm": "U3"}
    assert named == {role: None if who == gone else who for role, who in wanted.items()}
