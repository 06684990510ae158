"""Dispatch plans what is due before it sends; the hourly run begins reminders when nothing else waits."""

from __future__ import annotations

import datetime as dt
import json

import duckdb
import pytest
import yaml
from dagster import RunRequest, SkipReason, build_schedule_context
from ledger_world import NOW, candidate, plan, publish, survey
from mail_server import MailServer

from closedloop.clock import Clock
from closedloop.ledger import Ledger
from closedloop.ledger.books import reminder_books
from closedloop.settings import Settings
from orchestration import work
from orchestration.common.platform import Platform
from orchestration.operations.sensors import hourly_dispatch

REMINDING = {"after_days": [3, 7]}


@pytest.fixture
def server():
    server = MailServer()
    yield server
    server.close()


@pytest.fixture
def settings(tmp_path, server) -> Settings:
    (tmp_path / "surveys").mkdir()
    definition = survey(reminders=REMINDING).model_dump(
        mode="json", include={"id", "name", "type", "status", "company", "reminders"}
    )
    text = yaml.safe_dump({**definition, "triggers": [{"event": "deal_won"}]})
    (tmp_path / "surveys" / "post-close.yml").write_text(text)
    settings = Settings(home=tmp_path / "home", surveys=tmp_path / "surveys", smtp_url=server.url, _env_file=None)
    settings.ensure_home()
    return settings


def _sent(ledger: Ledger, settings: Settings, *names: str) -> None:
    plan(ledger, [candidate(name, programme=survey(reminders=REMINDING)) for name in names])
    assert work.dispatch(settings, clock=Clock.starting_at(NOW)).sent == len(names)


def test_dispatch_plans_and_sends_reminders(ledger: Ledger, settings, server: MailServer) -> None:
    _sent(ledger, settings, "ann", "bob")
    later = Clock.starting_at(NOW + dt.timedelta(days=3, hours=1))
    report = work.dispatch(settings, clock=later)
    assert (report.reminders, report.sent) == (2, 2)
    again = work.dispatch(settings, clock=later)
    assert (again.reminders, again.sent) == (0, 0)
    assert len(server.accepted) == 4


@pytest.mark.parametrize("days", [0, 2], ids=["fresh", "old_facts"])
def test_whom_the_publication_knows_to_be_gone_gets_no_reminder(ledger: Ledger, settings, days: int) -> None:
    _sent(ledger, settings, "ann", "bob")
    later = NOW + dt.timedelta(days=3, hours=1)
    publication = publish(ledger, now=later - dt.timedelta(days=days))
    settings.published_dir.mkdir(exist_ok=True)
    with duckdb.connect(str(settings.published_dir / f"marts-{publication}.duckdb")) as con:
        con.execute("create schema marts")
        con.execute(
            "create table marts.survey_withdrawals as select ? as invitation_id, 'contact_gone' as deciding_rule",
            [candidate("ann")["invitation_id"]],
        )
    report = work.dispatch(settings, clock=Clock.starting_at(later))
    assert (report.reminders, report.sent) == (2, 2 if days else 1)
    assert reminder_books(ledger).suppressed == (0 if days else 1)


def test_the_hourly_run_begins_reminders(ledger: Ledger, settings, instance) -> None:
    _sent(ledger, settings, "ann")

    def tick(at: dt.datetime):
        offset = (at - Clock().now()).total_seconds()
        platform = Platform.of(settings.model_copy(update={"clock_offset_seconds": offset}), quiet=True)
        return hourly_dispatch(
            build_schedule_context(instance=instance, scheduled_execution_time=at, resources={"platform": platform})
        )

    assert isinstance(tick(NOW + dt.timedelta(days=2)), SkipReason)
    assert isinstance(tick(NOW + dt.timedelta(days=3, hours=1)), RunRequest)


def test_books_show_reminders_on_a_line_of_their_own(ledger: Ledger, settings) -> None:
    from click.testing import CliRunner

    from orchestration.cli import cli
    from orchestration.cli.front import Context

    _sent(ledger, settings, "ann")
    work.dispatch(settings, clock=Clock.starting_at(NOW + dt.timedelta(days=3, hours=1)))
    shown = CliRunner().invoke(cli, ["books"], obj=Context(settings)).output.splitlines()
    assert [line.split() for line in shown if line.startswith(("total", "reminders", "alerts"))] == [
        ["total", "1", "0", "1", "0", "0", "0"],
        ["reminders", "1", "0", "1", "0", "0", "0"],
        ["alerts", "0", "0", "0", "0", "0", "0"],
    ]
    told = json.loads(CliRunner().invoke(cli, ["books", "--json"], obj=Context(settings)).output)
    assert told["reminders"] == told["total"]
