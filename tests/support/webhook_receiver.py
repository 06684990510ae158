"""A receiver of webhooks on loopback that keeps what it got, and fails on demand."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Receiver:
    """`requests` are what came, as (path, headers in lower case, body). `faults` are what it does next, one for each request
    (a status, "cut", "slow", "drip"), then `always`. `on` is called when a request is read and before anything is said."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.faults: list[int | str] = []
        self.always: int | str = 200
        self.headers: dict[str, str] = {}
        self.on: Callable[[], None] = lambda: None
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                receiver._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/hooks/a-secret-path?token=a-secret-word"

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.requests]

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, headers, _ in self.requests]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.path, headers, body))
        self.on()
        fault = self.faults.pop(0) if self.faults else self.always
        if fault == "slow":
            time.sleep(1.5)
        elif fault == "drip":
            with contextlib.suppress(OSError):
                for letter in "HTTP/1.1 200 OK and so on without end":
                    request.wfile.write(letter.encode())
                    time.sleep(0.1)
        if isinstance(fault, str):
            request.close_connection = True
            with contextlib.suppress(OSError):
                request.connection.close()
            return
        request.send_response(fault)
        for name, value in self.headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", "2")
        request.end_headers()
        with contextlib.suppress(OSError):
            request.wfile.write(b"{}")
