"""What workflows know of a customer when an answer comes: the newest publication's, custom fields of the CRM among it."""

from __future__ import annotations

import duckdb
import pytest
from published_marts import publish

from closedloop.programme.workflows import Workflow
from closedloop.settings import Settings
from orchestration.knowledge import knowledge_of


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(home=tmp_path / "home", _env_file=None)


def _follows(settings: Settings, where: str) -> bool:
    known = knowledge_of(settings).of("C1", "A1")
    workflow = Workflow.model_validate({"id": "w", "where": where, "actions": []})
    return workflow.follows(5, {"contact": known.contact, "account": known.account})


def test_a_custom_field_is_known_as_it_was_published(settings):
    link = publish(settings.home)
    with duckdb.connect(str(link.resolve())) as con:
        con.execute(
            "insert into marts.dim_custom_fields values ('account', 'A1', 'health__c', 'good'), "
            "('account', 'A2', 'health__c', 'bad'), ('contact', 'C1', 'mood__c', null)"
        )
    assert _follows(settings, "account.Health__c = 'good' and contact.Mood__c is empty and account.tier = 'Mid-Market'")
    assert not _follows(settings, "account.Health__c = 'bad'")
    assert not _follows(settings, "account.Never__c != 'bad'"), "what nobody knows holds for nobody"


def test_a_publication_from_before_there_was_such_a_mart(settings):
    link = publish(settings.home)
    with duckdb.connect(str(link.resolve())) as con:
        con.execute("drop table marts.dim_custom_fields")
    assert _follows(settings, "account.tier = 'Mid-Market'")
    assert not _follows(settings, "account.Health__c = 'good'")
