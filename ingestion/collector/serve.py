"""Serving the collector until SIGTERM or Ctrl-C."""

from __future__ import annotations

import errno
import socket

import uvicorn

from closedloop.clock import Clock
from closedloop.errors import BadInput
from closedloop.settings import Settings
from ingestion.collector.app import create_app


def serve(settings: Settings, port: int = 8080, host: str = "127.0.0.1", *, clock: Clock | None = None) -> None:
    """Answer requests at `host:port` (0: any free port); returns when told to stop, with all answers on disk.

    Raises BadInput when the port cannot be taken or the home cannot be written.
    """
    settings.ensure_home()
    sock = _listen(host, port)
    # No access log: its lines would hold tokens, which open a person's survey.
    config = uvicorn.Config(
        create_app(settings, clock=clock),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    print(f"collector: http://{host}:{sock.getsockname()[1]}", flush=True)
    try:
        uvicorn.Server(config).run(sockets=[sock])
    except KeyboardInterrupt:  # uvicorn raises it again once it has stopped
        pass
    finally:
        sock.close()


def _listen(host: str, port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(1024)
    except (OSError, OverflowError) as error:
        sock.close()
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        problem = f"port {port} of {host} is in use" if taken else f"cannot listen on port {port} of {host}"
        raise BadInput(problem, field="port", remedy="stop what uses it, or choose another with --port") from None
    return sock
