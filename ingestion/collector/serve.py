"""Serving the collector until SIGTERM or Ctrl-C."""

from __future__ import annotations

import shutil

from starlette.applications import Starlette

from closedloop.clock import Clock
from closedloop.errors import BadInput
from closedloop.serving import listen, run
from closedloop.settings import Settings, load_settings
from ingestion.collector.app import create_app
from ingestion.collector.preview import MailOf
from ingestion.collector.shared import metrics_folder


def serve(
    settings: Settings,
    port: int = 8080,
    host: str = "127.0.0.1",
    *,
    workers: int = 1,
    clock: Clock | None = None,
    mail_of: MailOf | None = None,
    factory: str = f"{__name__}:app_of_the_environment",
) -> None:
    """Answer requests at `host:port` (0: any free port); returns when told to stop, with all answers on disk.

    `mail_of` makes the mails of previews. Several workers read the settings anew, each in a process of its own, and are made
    by `factory` (`module:function`). Raises BadInput when the port cannot be taken or the
    home cannot be written, and for several workers over SQLite, where they would only wait for each other.
    """
    if workers > 1 and not settings.ledger_database_url.startswith("postgresql"):
        raise BadInput(
            "several workers need the ledger on PostgreSQL",
            field="workers",
            remedy="set CLOSEDLOOP_ENGINE=shared and CLOSEDLOOP_LEDGER_URL, or serve with one",
        )
    settings.ensure_home()
    _ = settings.link_secret  # before the workers start: all have the same
    sock = listen(host, port, remedy="stop what uses it, or choose another with --port")
    print(f"collector: http://{host}:{sock.getsockname()[1]}", flush=True)
    shutil.rmtree(metrics_folder(settings), ignore_errors=True)  # counters begin anew with the collector
    app = create_app(settings, clock=clock, mail_of=mail_of) if workers == 1 else factory
    run(app, sock, trusted_proxies=settings.trusted_proxies, workers=workers)


def app_of_the_environment() -> Starlette:
    """The collector of one worker."""
    return create_app(load_settings())
