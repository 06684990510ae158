"""The demo: a made-up company, and the whole programme played once by the jobs that run in production."""

from __future__ import annotations

import datetime as dt
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from closedloop.clock import as_utc
from closedloop.errors import BadInput
from closedloop.locks import only_one
from closedloop.serving import listen, serving
from closedloop.settings import Settings
from orchestration.up import LOCK

STEPS = ("ingest", "build", "plan", "send", "answer", "all")
PARTS = (4, 5, 6, 7, 9, 11)
"""How many parts there are up to each step, for the progress bar."""
MARKER = "demo.json"
HOUR = 9
"""The demo's day starts at 09:00 UTC."""


class Steps:
    """Progress on the way and the time that each step took."""

    def __init__(self, console: Console, total: int) -> None:
        self.took: dict[str, float] = {}
        self._console = console
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=total)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        self._bar.update(self._task, description=name)
        began = time.monotonic()
        yield
        self.took[name] = time.monotonic() - began
        self._bar.advance(self._task)
        self._console.print(f"  [green]✓[/green] {name:<46}{self.took[name]:6.1f} s")

    def __enter__(self) -> Steps:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def run_demo(
    settings: Settings, *, contacts: int, seed: int, today: dt.datetime | None, until: str, as_json: bool
) -> None:
    """Play the demo in the settings' home and print a summary. The home of an earlier demo is thrown away.

    `today` shifts the platform's clock to 09:00 UTC of that day. Raises BadInput for a home that holds anything else.
    """
    began = time.monotonic()
    console = Console(stderr=True, highlight=False)
    settings = _on_day(_free_ports(settings, console), today)
    settings = _room_for_newcomers(settings, contacts, console)
    clock = settings.clock()
    day = clock.now().date()
    _fresh_home(settings, {"contacts": contacts, "seed": seed, "today": day.isoformat()})
    done = STEPS.index(until)

    heard = None
    console.print(f"[bold]closedloop demo[/bold]  {contacts:,} contacts, seed {seed}, {day}, home {settings.home}")
    with Steps(console, total=PARTS[done]) as steps:
        from closedloop.ledger import Ledger
        from closedloop.programme import load_surveys
        from demo.company import make_company
        from demo.history import write_history

        surveys = load_surveys(settings.surveys)
        with steps.step("make a company: 24 months of CRM exports"):
            company = make_company(settings.exports_dir / "demo", contacts=contacts, seed=seed, today=day)
        with steps.step("write 24 months of invitations and answers"), Ledger.open(settings) as ledger:
            write_history(ledger, company, surveys, today=day, seed=seed)
        with steps.step("start Dagster"):
            from orchestration.warehouse.run import job_runner

            run_job = job_runner(settings)
        with steps.step("ingest the CRM exports into the lake"):
            run_job("ingest_crm_job")
        if done >= 1:
            with steps.step("build, check and publish the marts"):
                run_job("build_and_publish_job")
        if done >= 2:
            with steps.step("decide who is asked, and seal it"):
                run_job("plan_surveys_job")
        if done >= 3:
            with _mail_and_collector(settings):
                with steps.step("send the due surveys by SMTP"):
                    run_job("dispatch_surveys_job")
                if done >= 4:
                    from demo.customers import answer_mails

                    with steps.step("customers open their mail and answer"):
                        heard = answer_mails(settings, seed=seed, clock=clock)
                    with steps.step("alert owners, thank promoters, plan tasks"):
                        run_job("follow_up_job")
        if done >= 5:
            with steps.step("tell the CRM: files for its data loader"):
                run_job("write_back_job")
            with steps.step("build, check and publish again"):
                run_job("build_and_publish_job")

    summary = _summary(settings, day, steps.took, time.monotonic() - began, published=done >= 1)
    if heard is not None:
        names = ("opened", "answered", "detractors", "passives", "promoters", "unsubscribed")
        summary["heard_today"] = {name: getattr(heard, name) for name in names}
    print(json.dumps(summary, indent=2, default=str)) if as_json else _print(summary, until)


def _on_day(settings: Settings, today: dt.datetime | None) -> Settings:
    if today is None:
        return settings
    start = as_utc(today).replace(hour=HOUR, minute=0, second=0, microsecond=0)
    offset = (start - dt.datetime.now(dt.UTC)).total_seconds()
    os.environ["CLOSEDLOOP_CLOCK_OFFSET_SECONDS"] = str(offset)
    return settings.model_copy(update={"clock_offset_seconds": offset})


def _room_for_newcomers(settings: Settings, contacts: int, console: Console) -> Settings:
    """Past the size up to which everyone has a history, the demo's first plan is a flood, and is meant to be one."""
    from demo.history import MOST_CONTACTS

    share = -(-contacts // MOST_CONTACTS)
    if share == 1:
        return settings
    factor = settings.flood_factor * share
    console.print(f"  one account in {share} has a history, so the plan may be {factor:g} times the last ones")
    os.environ["CLOSEDLOOP_FLOOD_FACTOR"] = str(factor)
    return settings.model_copy(update={"flood_factor": factor})


def _free_ports(settings: Settings, console: Console) -> Settings:
    """Mail sink and collector run at the configured addresses; where a port is taken (`make up` runs), at others."""
    changed: dict[str, str] = {}
    for name, default in (("smtp_url", 25), ("collector_url", 80)):
        parts = urlsplit(getattr(settings, name))
        host, port = parts.hostname or "127.0.0.1", parts.port or default
        if host not in {"127.0.0.1", "localhost"}:
            raise BadInput(
                "the demo keeps to this machine, but this setting names another one",
                field=f"CLOSEDLOOP_{name.upper()}",
                remedy="unset it for the demo",
            )
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
                continue
            except OSError:
                pass
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            changed[name] = f"{parts.scheme}://127.0.0.1:{free.getsockname()[1]}"
        console.print(f"  port {port} is taken; the demo uses {changed[name]}")
    for name, value in changed.items():
        os.environ[f"CLOSEDLOOP_{name.upper()}"] = value
    return settings.model_copy(update=changed)


def _fresh_home(settings: Settings, facts: dict[str, Any]) -> None:
    home = settings.home
    if home.exists() and any(home.iterdir()):
        if not (home / MARKER).exists() and _holds_data(settings):
            raise BadInput(
                "the home holds data that no demo made; the demo will not touch it",
                file=home,
                remedy="set CLOSEDLOOP_HOME to an empty folder for the demo",
            )
        with only_one(
            home / LOCK, busy="this home is up\n  what to do: stop `make up` first; a demo throws its home away"
        ):
            shutil.rmtree(home)
    settings.ensure_home()
    (home / MARKER).write_text(json.dumps(facts, indent=2))


def _holds_data(settings: Settings) -> bool:
    """Whether anything was ingested or happened in this home; an empty ledger or a log is no data."""
    from sqlalchemy import func, select

    from closedloop.lake import Lake
    from closedloop.ledger import Ledger
    from closedloop.ledger.schema import events

    if settings.exports_dir.exists() and any(settings.exports_dir.iterdir()):
        return True
    if not (settings.home / "ledger.sqlite").exists() and not settings.lake_dir.exists():
        return True  # not a home of ours at all
    with Ledger.open(settings) as ledger, ledger.read() as conn:
        happened = conn.execute(select(func.count()).select_from(events)).scalar_one()
    with Lake.open(settings) as lake:
        return bool(happened or lake.cut())


@contextmanager
def _mail_and_collector(settings: Settings) -> Iterator[None]:
    """An embedded mail sink and the collector, in this process, while customers answer."""
    from dispatch.mailbox.sink import MailSink
    from ingestion.collector.app import create_app

    smtp, http = urlsplit(settings.smtp_url), urlsplit(settings.collector_url)
    sock = listen("127.0.0.1", http.port or 80, remedy="stop what uses it, or set CLOSEDLOOP_COLLECTOR_URL")
    app = create_app(settings, clock=settings.clock())
    with MailSink(settings.mailbox_dir, smtp.hostname, smtp.port), serving(app, sock):
        yield


def _summary(
    settings: Settings, day: dt.date, took: dict[str, float], total: float, *, published: bool
) -> dict[str, Any]:
    from closedloop.ledger import Ledger
    from closedloop.ledger.books import alert_books, books
    from orchestration.reports import marts, rows

    with Ledger.open(settings) as ledger:
        waves, alerts = books(ledger), alert_books(ledger)
    today = [book for book in waves if book.wave_id.rpartition(":")[2] >= day.isoformat()]
    summary: dict[str, Any] = {
        "home": str(settings.home),
        "today": {
            name: sum(getattr(book, name) for book in today)
            for name in ("planned", "pending", "sent", "rejected", "suppressed", "uncertain")
        },
        "alerts_sent": alerts.sent,
        "seconds": {name: round(seconds, 1) for name, seconds in took.items()},
        "total_seconds": round(total, 1),
    }
    if published:
        with marts(settings) as con:
            summary["nps"] = rows(
                con,
                """
                select survey_type, nps, nps_low, nps_high, responses from marts.rpt_nps
                where survey_id = 'all' and segment = 'all' and period_grain = 'all' order by survey_type
                """,
            )
            summary["funnel"] = rows(
                con,
                """
                select sum(sent)::bigint as sent, sum(responded)::bigint as answered,
                       sum(responded) / nullif(sum(sent), 0) as response_rate
                from marts.rpt_survey_funnel where period_grain = 'all' and survey_id != 'all'
                """,
            )[0]
            summary["closed_loop"] = (
                rows(
                    con,
                    """
                    select detractors, contacted, contacted_within_sla, open, overdue from marts.rpt_closed_loop
                    where period_grain = 'all' and segment = 'all'
                    """,
                )
                or [{}]
            )[0]
    return summary


def _print(summary: dict[str, Any], until: str) -> None:
    print()
    for row in summary.get("nps", []):
        print(
            f"  NPS {row['survey_type']:<16}{row['nps']:+6.1f}   95 % interval {row['nps_low']:+.1f} to "
            f"{row['nps_high']:+.1f}, {row['responses']:,} responses"
        )
    if funnel := summary.get("funnel"):
        rate = 100 * (funnel["response_rate"] or 0)
        print(f"  in 24 months        sent {funnel['sent']:,}, answered {funnel['answered']:,} ({rate:.1f} %)")
    if loop := summary.get("closed_loop"):
        print(
            f"                      detractors {loop['detractors']:,}, contacted inside the SLA "
            f"{loop['contacted_within_sla']:,}, open {loop['open']:,}, overdue {loop['overdue']:,}"
        )
    print(f"  today               {_counts(summary['today'])}")
    if heard := summary.get("heard_today"):
        print(f"                      {_counts(heard)}, alerts sent {summary['alerts_sent']}")
    print(f"  took                {summary['total_seconds']:.0f} s")
    print()
    print("  where to look next")
    print("    make up                               the Dagster UI, the mailbox, the survey page, the dashboard")
    print("    .venv/bin/closedloop books            what was planned and what became of it")
    if until == "all":
        print("    .venv/bin/closedloop follow-up list   detractors who wait for a person")
        print("    .venv/bin/closedloop actions books    what followed the answers")
        print(f"    {summary['home']}/outbox   what the CRM is told")
    print(f"    {summary['home']}/published/marts.duckdb   the marts, for any BI tool")


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items() if count or name in {"planned", "answered"})
