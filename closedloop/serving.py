"""Serving a web application on one machine: a port that is free or named, and an end that is clean."""

from __future__ import annotations

import errno
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from closedloop.errors import BadInput


def listen(host: str, port: int, *, remedy: str) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises BadInput naming host and port, and `remedy`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(1024)  # only now is a port that another server listens on refused
    except (OSError, OverflowError) as error:
        sock.close()
        taken = getattr(error, "errno", None) == errno.EADDRINUSE
        problem = f"port {port} of {host} is in use" if taken else f"cannot listen on port {port} of {host}"
        raise BadInput(problem, field="port", remedy=remedy) from None
    return sock


def run(app: Any, sock: socket.socket, *, trusted_proxies: Sequence[str] = (), workers: int = 1) -> None:
    """Serve an ASGI application until SIGTERM or Ctrl-C; open requests are finished, then it returns.

    Several workers are processes of their own that share the socket; `app` is then the name of a function that makes the
    application (`module:function`). There is no access log: its lines would hold tokens, which open a person's survey.
    """
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    config = uvicorn.Config(
        app,
        factory=isinstance(app, str),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=10,
        forwarded_allow_ips=list(trusted_proxies),
        workers=workers,
    )
    if threading.current_thread() is threading.main_thread():
        # uvicorn raises the signal again once it has stopped, which would end the process before its cleaning up.
        signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        if workers > 1:
            Multiprocess(config, sockets=[sock]).run()
        else:
            uvicorn.Server(config).run(sockets=[sock])
    except KeyboardInterrupt:
        pass
    finally:
        sock.close()


@contextmanager
def serving(app: Any, sock: socket.socket) -> Iterator[None]:
    """Serve an ASGI application in a thread of this process, for as long as the block runs."""
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("the server did not start")
        time.sleep(0.02)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(10)
        sock.close()
