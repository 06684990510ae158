"""`closedloop survey validate` warns of CRM fields that no export ever brought: by them nobody would be asked."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner

from closedloop.lake import Lake
from closedloop.settings import Settings
from orchestration.cli import cli
from orchestration.cli.front import Context

PROGRAMME = """\
id: post-close
name: Post-Close
type: transactional
status: draft
company: Northwind Cloud
audience:
  where: account.Helth__c = 'good' or account.tier = 'SMB' or contact.Mood__c is empty
triggers:
  - event: deal_won
  - event: field_changed
    field: STAGE__C
  - event: field_changed
    field: Stag__c
    object: account
workflows:
  - id: healthy
    where: account.Healh__c = 'good'
    actions: []
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    (tmp_path / "surveys").mkdir()
    (tmp_path / "surveys" / "after-a-deal.yml").write_text(PROGRAMME)
    return Settings(home=tmp_path / "home", surveys=tmp_path / "surveys", _env_file=None)


def _validate(settings: Settings) -> tuple[str, str]:
    done = CliRunner().invoke(cli, ["survey", "validate"], obj=Context(settings))
    assert done.exit_code == 0
    assert "post-close" in done.stdout
    return done.stdout, done.stderr


def test_fields_that_never_came_are_named_with_their_place(settings: Settings, now: dt.datetime) -> None:
    with Lake.open(settings) as lake:
        row = {"Id": ["A"], "Health__c": ["good"], "Stage__c": ["Live"], "_op": ["upsert"], "_row_hash": ["x"]}
        lake.append("crm.account", pa.table(row), batch_id="b", ingested_at=now, source="test")
    _, said = _validate(settings)
    file = settings.surveys / "after-a-deal.yml"
    # Of contacts nothing has come in yet: they may have the field.
    assert [line for line in said.splitlines() if line.startswith("warning")] == [
        f"warning: {file}:7 [audience.where]: no export of the CRM has brought 'account.Helth__c': a condition on it "
        "lets nobody in; did you mean 'Health__c'?",
        f"warning: {file}:17 [workflows.0.where]: no export of the CRM has brought 'account.Healh__c': a condition on it "
        "lets nobody in; did you mean 'Health__c'?",
        f"warning: {file}:13 [triggers.2.field]: no export of the CRM has brought 'account.Stag__c': the trigger never "
        "fires; did you mean 'Stage__c'?",
    ]
    assert said.count("what to do: ") == 3


def test_without_a_lake_there_is_nothing_to_compare_with(settings: Settings) -> None:
    assert _validate(settings)[1] == ""
    assert not settings.home.exists()


def test_programmes_of_fields_that_came_are_fine(settings: Settings, now: dt.datetime) -> None:
    (settings.surveys / "after-a-deal.yml").write_text(
        PROGRAMME.replace("Helth", "health").replace("Healh", "Health").replace("Stag__c", "Plan__c")
    )
    with Lake.open(settings) as lake:
        row = {"Id": ["A"], "Health__c": ["good"], "Stage__c": ["Live"], "_op": ["upsert"], "_row_hash": ["x"]}
        lake.append("crm.account", pa.table(row), batch_id="b", ingested_at=now, source="test")
    assert _validate(settings)[1] == ""


def test_actions_that_reach_nobody_are_named_with_their_place(settings: Settings) -> None:
    file = settings.surveys / "after-a-deal.yml"
    workflows = """\
workflows:
  - id: loud
    actions:
      - do: chat
        channel: sales
      - do: notify
"""
    file.write_text(PROGRAMME[: PROGRAMME.index("workflows:")] + workflows)
    assert [line for line in _validate(settings)[1].splitlines() if line.startswith("warning")] == [
        f"warning: {file}:19 [workflows.0.actions.0.channel]: no chat 'sales' is set (there is: none): nothing is posted",
        f"warning: {file}:20 [workflows.0.actions.1.do]: the mapping for the CRM has no notification: nobody gets a push "
        "message",
    ]
    with_chat = settings.model_copy(update={"chat_webhooks": {"sales": "https://chat.example/x"}})
    assert "sales" not in _validate(with_chat)[1]
