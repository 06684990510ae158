"""Serving the collector until SIGTERM or Ctrl-C."""

from __future__ import annotations

from closedloop.clock import Clock
from closedloop.serving import listen, run
from closedloop.settings import Settings
from ingestion.collector.app import create_app


def serve(settings: Settings, port: int = 8080, host: str = "127.0.0.1", *, clock: Clock | None = None) -> None:
    """Answer requests at `host:port` (0: any free port); returns when told to stop, with all answers on disk.

    Raises BadInput when the port cannot be taken or the home cannot be written.
    """
    settings.ensure_home()
    sock = listen(host, port, remedy="stop what uses it, or choose another with --port")
    print(f"collector: http://{host}:{sock.getsockname()[1]}", flush=True)
    run(create_app(settings, clock=clock), sock)
