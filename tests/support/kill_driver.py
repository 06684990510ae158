"""Runs senders that die: reads lines of JSON, forks a sender for each, and tells how it ended.

{"home", "smtp_url", "offset", "commit": n, "when": "before"|"after"} kills itself (SIGKILL) around the n-th commit;
without "commit" it runs until someone else kills it. "group" and "connections" are the sender's, 2 and 1 by default. Answers: {"pid"} at the start, {"status", "commits"} at the end.
The imports happen once, so that a hundred deaths take seconds.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from ledger_world import survey

import dispatch.rendering  # noqa: F401  (before the fork)
from closedloop.clock import Clock
from closedloop.ledger import Ledger
from closedloop.settings import Settings
from dispatch import sender
from dispatch.smtp import MailServerUnavailable


def run(order: dict) -> None:
    settings = Settings(home=Path(order["home"]), smtp_url=order["smtp_url"], _env_file=None)
    sender.GROUP = order.get("group", 2)  # more boundaries with few messages
    count = 0
    write = Ledger.write

    @contextmanager
    def dying_write(self):
        nonlocal count
        count += 1
        mine = count == order.get("commit")
        with write(self) as conn:
            yield conn
            if mine and order["when"] == "before":
                os.kill(os.getpid(), signal.SIGKILL)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)

    Ledger.write = dying_write
    with Ledger.open(settings) as ledger:
        clock, connections = Clock(dt.timedelta(seconds=order["offset"])), order.get("connections", 1)
        sender.send_due(ledger, settings, [survey()], clock=clock, timeout=1.0, connections=connections)


for line in sys.stdin:
    order = json.loads(line)
    pid = os.fork()
    if not pid:
        code = 1
        try:
            run(order)
            code = 0
        except MailServerUnavailable:  # the server has closed on us too often, or let us not in: a later run goes on
            code = 3
        finally:
            os._exit(code)
    print(json.dumps({"pid": pid}), flush=True)
    _, status = os.waitpid(pid, 0)
    print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)
