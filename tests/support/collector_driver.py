"""Starts collectors on one listening socket, each forked from this process, which has imported all; for tests that kill them.

Started with a home; prints the port, then for each line it reads the id of a new collector's process.
"""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from closedloop.serving import run
from closedloop.settings import Settings
from ingestion.collector.app import create_app


def main() -> None:
    settings = Settings(home=Path(sys.argv[1]), _env_file=None)
    sock = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(sock.getsockname()[1], flush=True)
    for _ in sys.stdin:
        if (process := os.fork()) == 0:
            run(create_app(settings), sock)
            os._exit(0)
        print(process, flush=True)


if __name__ == "__main__":
    main()
