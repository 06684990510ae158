"""An SMS provider on loopback that takes messages as Twilio does, and fails on demand."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

FAULTS = ("taken", "refused", "busy", "down", "broken", "cut", "lost", "locked")


class SmsProvider:
    """`messages` are what it took, as (to, from, text); `faults` what it does next, one for each request, then 'taken'."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, str, str]] = []
        self.faults: list[str] = []
        self.requests = 0
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                provider._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://AC1:secret@127.0.0.1:{self._server.server_port}/2010-04-01/Accounts/AC1/Messages.json"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        body = request.rfile.read(int(request.headers["Content-Length"]))
        fault = self.faults.pop(0) if self.faults else "taken"
        if fault == "cut":  # nothing was taken, and nobody can know
            request.close_connection = True
            request.connection.close()
            return
        login = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
        if login != "AC1:secret" or fault == "locked":
            self._reply(request, 401, {"code": 20003})
        elif fault == "refused":
            self._reply(request, 400, {"code": 21211, "message": "The 'To' number +49170 is not valid"})
        elif fault in ("busy", "down", "broken"):
            self._reply(request, {"busy": 429, "down": 503, "broken": 500}[fault], {})
        else:
            given = parse_qs(body.decode())
            self.messages.append((given["To"][0], given["From"][0], given["Body"][0]))
            if fault == "lost":  # taken, but the reply never comes
                request.close_connection = True
                request.connection.close()
                return
            self._reply(request, 201, {"sid": f"SM{len(self.messages)}", "status": "queued"})

    @staticmethod
    def _reply(request: BaseHTTPRequestHandler, status: int, content: dict[str, object]) -> None:
        body = json.dumps(content).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
