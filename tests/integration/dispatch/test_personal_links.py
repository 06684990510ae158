"""Links that a company hands out by itself: once on the books, to be had again, in a table, as QR codes and as a block."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from ledger_world import NOW, candidate, plan, survey

from closedloop.errors import BadInput
from closedloop.ledger import Ledger
from closedloop.ledger.answers import record_answer, unsubscribe
from closedloop.ledger.books import books, total
from closedloop.ledger.switches import SENDING, turn
from closedloop.links import read
from closedloop.settings import Settings
from dispatch.personal_links import COLUMNS, Exported, export_links

BY_LINK = survey(channels=["link"])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path / "home", _env_file=None)
    settings.ensure_home()
    return settings


@pytest.fixture
def ledger(settings):
    with Ledger.open(settings) as ledger:
        yield ledger


SURVEYS = {BY_LINK.id: BY_LINK}


@pytest.fixture
def export(ledger, settings, tmp_path: Path):
    def run(**options: bool) -> Exported:
        return export_links(ledger, settings, BY_LINK, SURVEYS, tmp_path / "out", now=NOW, **options)

    return run


def invite(ledger, *names: str, **over) -> None:
    people = [candidate(name, programme=BY_LINK, channel="link", **over) for name in names]
    plan(ledger, people)


def lines(exported: Exported) -> list[dict[str, str]]:
    with exported.table.open(newline="") as file:
        return list(csv.DictReader(file))


def test_each_link_is_handed_out_once_and_is_on_the_books(ledger, settings, export) -> None:
    invite(ledger, "ada", "bob", "cleo")
    first = export()
    assert (first.handed_out.new, first.handed_out.again) == (3, 0)
    assert total(books(ledger)).sent == 3
    found = lines(first)
    assert tuple(found[0]) == COLUMNS
    assert {line["email"] for line in found} == {f"{name}@customer.example" for name in ("ada", "bob", "cleo")}
    for line in found:
        token = line["link"].removeprefix(f"{settings.collector_url}/s/")
        assert read(settings.link_secret, token, "survey") == line["invitation_id"]
        assert "/u/" in line["unsubscribe_link"] and "/p/" in line["preferences_link"]
    assert first.table.stat().st_mode & 0o077 == 0, "whoever has a link can answer by it"
    first.table.unlink()
    assert lines(export()) == []


def test_again_gives_what_is_open(ledger, export) -> None:
    invite(ledger, "ada", "bob")
    given = {line["email"]: line for line in lines(export())}
    with ledger.write() as conn:
        ada = given["ada@customer.example"]["invitation_id"]
        record_answer(conn, ada, 9, channel="link", judged="human", at=NOW, now=NOW)
    repeated = export(again=True)
    assert lines(repeated) == [given["bob@customer.example"]]
    assert (repeated.handed_out.new, repeated.handed_out.again) == (0, 1)


def test_the_rules_of_hand_over_hold(ledger, export) -> None:
    invite(ledger, "ada", "bob")
    with ledger.write() as conn:
        unsubscribe(conn, candidate("ada", programme=BY_LINK)["invitation_id"], at=NOW, now=NOW)
    exported = export()
    assert [line["email"] for line in lines(exported)] == ["bob@customer.example"]
    assert exported.handed_out.suppressed == {"suppressed": 1}


def test_a_paused_survey_and_the_switch_hold_all(ledger, settings, export, tmp_path: Path) -> None:
    invite(ledger, "ada")
    paused = survey(channels=["link"], status="paused")
    held = export_links(ledger, settings, paused, SURVEYS, tmp_path / "paused", now=NOW)
    assert (lines(held), held.handed_out.held) == ([], {"survey paused": 1})
    turn(ledger, SENDING, on=False, by="kim", now=NOW)
    with pytest.raises(BadInput, match="switched off"):
        export()
    assert not list((tmp_path / "out").glob("links-*.csv"))
    turn(ledger, SENDING, on=True, by="kim", now=NOW)
    assert export().handed_out.new == 1


def test_qr_codes_and_blocks_carry_the_same_link(ledger, export, tmp_path: Path) -> None:
    invite(ledger, "ada")
    [line] = lines(export(qr=True, blocks=True))
    assert (tmp_path / "out" / line["qr_code"]).read_text().startswith("<?xml")
    block = (tmp_path / "out" / line["score_block"]).read_text()
    scores = re.findall(r'href="([^"]+)\?score=(\d+)"', block)
    assert scores == [(line["link"], str(score)) for score in range(11)]
    assert "How likely are you to recommend Northwind Cloud" in block
    assert "<style" not in block


def test_what_people_are_called_is_no_formula(ledger, export) -> None:
    invite(ledger, "ada", payload={"first_name": "=HYPERLINK(1)", "account_name": "@Acme", "last_name": "O'Hara"})
    [line] = lines(export())
    assert (line["first_name"], line["account_name"], line["last_name"]) == ("'=HYPERLINK(1)", "'@Acme", "O'Hara")


def test_a_survey_that_sends_mails_hands_out_no_links(ledger, settings, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="hands out no links"):
        export_links(ledger, settings, survey(), SURVEYS, tmp_path, now=NOW)


def test_a_folder_that_cannot_be_written_costs_nothing(ledger, settings, tmp_path: Path) -> None:
    invite(ledger, "ada")
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="cannot be written"):
        export_links(ledger, settings, BY_LINK, SURVEYS, tmp_path / "file" / "folder", now=NOW)
    assert total(books(ledger)).pending == 1


def test_a_cooldown_of_the_family_counts_its_other_surveys(ledger, settings, tmp_path: Path) -> None:
    of_family = {"family": "service", "cooldown": {"days": 90, "scope": "family"}}
    ours, other = survey(channels=["link"], **of_family), survey(id="support", channels=["link"], **of_family)
    known = {one.id: one for one in (ours, other)}
    for programme in (other, ours):
        plan(ledger, [candidate("ada", programme=programme, channel="link")])
        exported = export_links(ledger, settings, programme, known, tmp_path / programme.id, now=NOW)
    assert exported.handed_out.suppressed == {"cooldown": 1}
