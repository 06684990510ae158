"""From an unhappy answer to the owner's alert in the mail server, with everything up: `make bench-follow-up`.

`closedloop up` runs as always, with one more code location whose sensor starts an empty run: what Dagster itself takes from
the moment there is work to the moment its run works is the floor, in the same set-up and in turn with the real thing. The
real time begins with the collector's reply, when the answer is on disk, and ends when the mail server has the alert on disk.
Then many unhappy answers come at once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.progress import Progress

from benchmarks.sender import plan
from closedloop.clock import Clock
from closedloop.ledger import Ledger
from closedloop.ledger.schema import messages
from closedloop.links import Purpose, sign
from closedloop.settings import REPO, Settings

PORTS = {"ui_port": 3900, "collector_port": 8980, "mailbox_port": 8981, "dashboard_port": 8982}
SMTP_PORT = 8925
PATIENCE = 180.0
"""Seconds to wait for one alert."""


def settings_of(home: Path) -> Settings:
    return Settings(
        home=home,
        smtp_url=f"smtp://127.0.0.1:{SMTP_PORT}",
        collector_url=f"http://127.0.0.1:{PORTS['collector_port']}",
        max_posts_per_minute=0,
        _env_file=None,
    )


def environment(home: Path) -> dict[str, str]:
    settings = settings_of(home)
    return {
        **os.environ,
        "CLOSEDLOOP_HOME": str(home),
        "CLOSEDLOOP_SMTP_URL": settings.smtp_url,
        "CLOSEDLOOP_COLLECTOR_URL": settings.collector_url,
        "CLOSEDLOOP_MAX_POSTS_PER_MINUTE": "0",
    }


def serve(home: Path) -> None:
    """Everything, in this process tree, until it is asked to stop."""
    from orchestration.up import up

    up(settings_of(home), **PORTS, workspace=REPO / "benchmarks/floor_workspace.yaml")


def prepare(home: Path, count: int) -> list[str]:
    """A ledger with invitations that were sent; returns their ids, shuffled."""
    plan(home, count)
    with Ledger.open(settings_of(home)) as ledger, ledger.write() as conn:
        now = Clock().now()
        conn.execute(messages.update().values(state="sent", state_at=now, planned_at=now, link_expires_at=None))
        ids = list(conn.scalars(messages.select().with_only_columns(messages.c.message_id)))
    random.Random(7).shuffle(ids)
    return ids


async def answer(home: Path, invitation_id: str) -> float:
    """Post an unhappy answer; gives when the collector said that it is on disk."""
    token = sign(settings_of(home).link_secret, invitation_id, Purpose.SURVEY)
    body = f"score={int(invitation_id[0], 16) % 7}&input=human&visible_ms=3000&comment=Nobody+calls+back"
    reader, writer = await asyncio.open_connection("127.0.0.1", PORTS["collector_port"])
    writer.write(
        f"POST /s/{token} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    reply = await reader.read()
    writer.close()
    if b" 200 " not in reply.split(b"\r\n")[0]:
        raise SystemExit(f"the collector refused an answer: {reply[:200]!r}")
    return time.time()


class Mailbox:
    """The mails that the server has on disk."""

    def __init__(self, home: Path) -> None:
        self.folder, self.seen = home / "mailbox" / "new", set[str]()

    def new_alerts(self) -> list[float]:
        """When each alert came that was not seen before, by its file's time."""
        found = []
        for entry in os.scandir(self.folder) if self.folder.exists() else ():
            if entry.name not in self.seen:
                self.seen.add(entry.name)
                if b"X-Closedloop-Kind: alert" in Path(entry.path).read_bytes():
                    found.append(entry.stat().st_mtime)
        return found


def wait(until, what: str):
    """What `until` gives once it gives something."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := until():
            return found
        time.sleep(0.02)
    raise SystemExit(f"{what} did not come within {PATIENCE:.0f} s")


def one_alert(home: Path, mailbox: Mailbox, invitation_id: str) -> float:
    """Seconds from the answer on disk to the alert on disk."""
    began = asyncio.run(answer(home, invitation_id))
    return wait(mailbox.new_alerts, "the alert")[0] - began


def one_empty_run(home: Path, number: int) -> float:
    """Seconds from something to do to an empty run that does it."""
    folder = home / "floor"
    folder.mkdir(exist_ok=True)
    began = time.time()
    (folder / f"{number:04}.asked").touch()
    done = folder / f"{number:04}.done"
    wait(lambda: done.exists() and done.read_text(), "the empty run")
    return float(done.read_text()) - began


def at_once(home: Path, mailbox: Mailbox, ids: list[str]) -> dict[str, float]:
    """Many unhappy answers together: seconds until the first, the middle and the last alert, from the last answer on disk."""

    async def post() -> float:
        gate = asyncio.Semaphore(64)

        async def one(invitation_id: str) -> float:
            async with gate:
                return await answer(home, invitation_id)

        return max(await asyncio.gather(*(one(invitation_id) for invitation_id in ids)))

    began = asyncio.run(post())
    came: list[float] = []
    while len(came) < len(ids):
        came += wait(mailbox.new_alerts, "an alert")
    took = sorted(at - began for at in came)
    return {"first": took[0], "median": statistics.median(took), "last": took[-1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=12, help="alerts and empty runs, in turn")
    parser.add_argument("--at-once", type=int, default=1000, help="unhappy answers that come together")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    home = Path(tempfile.mkdtemp(prefix="closedloop-bench-"))
    ids = prepare(home, options.trials + options.at_once)
    command = [sys.executable, "-m", "benchmarks.follow_up", "--serve", str(home)]
    everything = subprocess.Popen(command, env=environment(home), cwd=REPO, stdout=subprocess.DEVNULL)
    try:
        wait(lambda: _answers(PORTS["ui_port"]) and _answers(PORTS["collector_port"]), "the platform")
        mailbox, empty, alerts = Mailbox(home), [], []
        one_empty_run(home, 0)  # sensors begin to turn some time after the UI answers
        chance = random.Random(11)
        with Progress(transient=True) as progress:
            for number in progress.track(range(options.trials), description="answers and empty runs"):
                time.sleep(chance.uniform(0, 10))  # sensors turn every ten seconds: no trial may lean on the one before
                empty.append(one_empty_run(home, number + 1))
                time.sleep(chance.uniform(0, 10))
                alerts.append(one_alert(home, mailbox, ids.pop()))
        burst = at_once(home, mailbox, ids) if options.at_once else {}
    finally:
        everything.send_signal(signal.SIGTERM)
        everything.wait(60)
        shutil.rmtree(home, ignore_errors=True)
    report(empty, alerts, burst, options)


def _answers(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def report(empty: list[float], alerts: list[float], burst: dict[str, float], options: argparse.Namespace) -> None:
    ratio = statistics.median(alerts) / statistics.median(empty)
    found = {"empty": empty, "alerts": alerts, "ratio_of_medians": ratio, "at_once": burst}
    if options.json:
        print(json.dumps(found))
        return
    for name, took in (("an empty run", empty), ("answer to alert", alerts)):
        print(
            f"{name:<18} median {statistics.median(took):5.1f} s, {min(took):.1f} to {max(took):.1f} s, {len(took)} times"
        )
    print(f"ratio of medians   {ratio:.2f}")
    if burst:
        words = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in burst.items())
        print(f"{options.at_once:,} at once      {words} after the last answer")


if __name__ == "__main__":
    main()
