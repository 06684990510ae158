"""What a seal puts into a message: whoever left the company is named in none."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from ledger_world import survey

from orchestration.seal import _addressed, _decisions


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
    [row] = _addressed(marts)
    named = {role: row[f"{role}_id"] for role in ("owner", "manager", "csm")}
    wanted = {"owner": "U1", "manager": "U2", "csm": "U3"}
    assert named == {role: None if who == gone else who for role, who in wanted.items()}


@pytest.mark.parametrize("kept", [True, False], ids=["with_facts", "built_by_an_older_release"])
def test_what_decided_is_read_with_the_decision(tmp_path: Path, kept: bool) -> None:
    marts = tmp_path / "marts-p1.duckdb"
    with duckdb.connect(str(marts)) as con:
        con.execute("create schema marts")
        con.execute(
            f"""
            create table marts.survey_queue as select
                'k' candidate_id, 'c' contact_id, 'a' account_id, 'p' person_key, 'post-close' survey_id, 'w' wave_id,
                'deal_won' trigger_event, 'd' trigger_record_id, timestamp '2026-03-02' due_at, 'skip' decision,
                'cooldown' deciding_rule, '["cooldown"]' all_failed_rules, timestamp '2026-03-02' decided_as_of,
                'hash' definition_hash, timestamp '2026-03-16' expires_at
                {''', '{"asked":1}' facts''' if kept else ""}
            """
        )
    [row] = _decisions(marts, "p1", {"hash": survey()})
    assert (row["candidate_id"], row["facts"]) == ("k", '{"asked":1}' if kept else None)
