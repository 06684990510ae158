"""Long-running parts, and the demo."""

from __future__ import annotations

import datetime as dt

import click

from orchestration.cli.front import PORT, Context, Time, as_json, cli


@cli.group()
def serve() -> None:
    """Run one part alone until Ctrl-C."""


@serve.command("collector")
@click.option("--port", default=8080, show_default=True, type=PORT)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes (PostgreSQL).")
@click.pass_obj
def serve_collector(context: Context, port: int, host: str, workers: int) -> None:
    """The web application that respondents meet."""
    from functools import partial

    from ingestion.collector.serve import serve as run
    from orchestration import previews

    mail_of = partial(previews.sample_mail, context.settings)
    factory = f"{previews.__name__}:app_of_the_environment"
    run(context.settings, port, host, workers=workers, mail_of=mail_of, factory=factory)


@serve.command("mailbox")
@click.option("--port", default=8081, show_default=True, type=PORT)
@click.pass_obj
def serve_mailbox(context: Context, port: int) -> None:
    """The embedded mail sink and a viewer of its mails.

    The sink listens at CLOSEDLOOP_SMTP_URL, the viewer at --port.
    """
    from dispatch.mailbox import serve_mailbox as run

    context.settings.ensure_home()
    run(context.settings, port)


@serve.command("dashboard")
@click.option("--port", default=8501, show_default=True, type=PORT)
@click.pass_obj
def serve_dashboard(context: Context, port: int) -> None:
    """Pages over the published marts."""
    from dashboard.serve import run_dashboard as run

    run(context.settings, port)


@cli.command()
@click.option("--ui-port", default=3000, show_default=True, type=PORT)
@click.option("--collector-port", default=8080, show_default=True, type=PORT)
@click.option("--mailbox-port", default=8081, show_default=True, type=PORT)
@click.option("--dashboard-port", default=8501, show_default=True, type=PORT)
@click.pass_obj
def up(context: Context, **ports: int) -> None:
    """Start all parts, on loopback, until Ctrl-C.

    Dagster's UI and daemon, the collector, the mailbox and the dashboard; prints their addresses.
    """
    from orchestration.up import up as run

    context.settings.ensure_home()
    run(context.settings, **ports)


@cli.command()
@click.option(
    "--contacts", default=1500, show_default=True, type=click.IntRange(20, 1_000_000), help="Size of the company."
)
@click.option("--seed", default=7, show_default=True, help="The same seed and day make the same company.")
@click.option("--today", type=Time(), help="The demo's day. Default: today.")
@click.option(
    "--until",
    type=click.Choice(["ingest", "build", "plan", "send", "answer", "all"]),
    default="all",
    show_default=True,
    help="Stop after this step.",
)
@as_json
@click.pass_obj
def demo(context: Context, contacts: int, seed: int, today: dt.datetime | None, until: str, as_json: bool) -> None:
    """Make a company and play the programme once.

    Ingests, decides, sends, answers, follows up and publishes. Throws the home of an earlier demo away, and never touches
    one that no demo made.
    """
    from orchestration.demo_run import run_demo

    run_demo(context.settings, contacts=contacts, seed=seed, today=today, until=until, as_json=as_json)
