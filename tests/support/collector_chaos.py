"""A collector that is killed again and again while people answer: what it acknowledged is there, once.

`python tests/support/collector_chaos.py --kills 200` plays it in full (`make chaos-collector`), the suite a short form.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import datetime as dt

import httpx
from ledger_world import candidate, plan
from sqlalchemy import select

from closedloop.ledger import Ledger
from closedloop.ledger.schema import answers, events, messages, provider_events, suppressions
from closedloop.links import Purpose, sign
from closedloop.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
CREDENTIALS = "mail:secret"
CLIENTS, LONGEST_LIFE = 8, 0.6
"""People at work side by side; seconds after which a collector at work is killed at the latest."""
AT_WORK, PATIENCE = 3, 30
"""A collector is at work once it acknowledged so many requests; on a busy machine that is waited for, so many seconds."""


@dataclass
class Person:
    """One invitation, and what its owner sent: each comment is another, so that each answer can be told apart."""

    invitation_id: str
    sent: list[tuple[str, int]] = field(default_factory=list)
    acknowledged: list[tuple[str, int]] = field(default_factory=list)
    since: list[tuple[str, int]] = field(default_factory=list)
    """Sent after the last one that was acknowledged: any of them may stand."""
    has_left: bool = False
    """Whether an unsubscribe was acknowledged."""
    bounces: set[str] = field(default_factory=set)
    """Reports of a mail provider that were acknowledged."""


@dataclass
class Outcome:
    """What stood at the end, against what was acknowledged."""

    kills: int
    acknowledged: int
    unanswered: int
    """Requests whose reply was lost: they may have been recorded or not."""
    lost: int
    doubled: int
    other_than_acknowledged: int
    unsubscribes_lost: int
    reports_lost: int
    reports_doubled: int

    @property
    def is_kept(self) -> bool:
        broken = (self.lost, self.doubled, self.other_than_acknowledged, self.unsubscribes_lost, self.reports_lost)
        return not any((*broken, self.reports_doubled))


class Driver:
    """Collectors in processes of their own on one socket: whoever connects in between waits for the next."""

    def __init__(self, settings: Settings) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "support" / "collector_driver.py"), str(settings.home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "CLOSEDLOOP_POSTMARK_CREDENTIALS": CREDENTIALS,
                "CLOSEDLOOP_MAX_POSTS_PER_MINUTE": "0",
            },
        )
        self.address = f"http://127.0.0.1:{self._process.stdout.readline().strip()}"

    def start(self) -> int:
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(10)


def play(home: Path, *, kills: int, seed: int = 1, say=lambda text: None) -> Outcome:
    """Kill the collector `kills` times while eight clients answer, change their minds, unsubscribe and report bounces."""
    settings = Settings(home=home, _env_file=None)
    settings.ensure_home()
    now = dt.datetime.now(dt.UTC)
    with Ledger.open(settings) as ledger:
        rows = [candidate(f"p{number}", now=now) for number in range(CLIENTS * 400)]
        ids = plan(ledger, rows, now=now)
    people = [Person(one) for one in ids]
    driver, over, unanswered = Driver(settings), threading.Event(), Counter()
    clients = [
        threading.Thread(
            target=_live,
            args=(driver.address, settings, people[number::CLIENTS], random.Random(seed + number), over, unanswered),
        )
        for number in range(CLIENTS)
    ]
    chance = random.Random(seed)
    process = driver.start()
    for client in clients:
        client.start()
    for number in range(kills):
        _wait_for_work(people)
        time.sleep(chance.uniform(0, LONGEST_LIFE))
        os.kill(process, signal.SIGKILL)
        process = driver.start()
        if number % 20 == 19:
            say(f"killed {number + 1} times")
    time.sleep(LONGEST_LIFE)
    over.set()
    for client in clients:
        client.join(30)
    os.kill(process, signal.SIGTERM)
    driver.close()
    return _compare(settings, people, kills, unanswered["requests"])


def _wait_for_work(people: list[Person]) -> None:
    def count() -> int:
        return sum(len(person.acknowledged) for person in people)

    before, end = count(), time.monotonic() + PATIENCE
    while count() < before + AT_WORK and time.monotonic() < end:
        time.sleep(0.01)


def _live(address: str, settings: Settings, people: list[Person], chance, over, unanswered: Counter) -> None:
    """One client: each of its people in turn and again, until it is over."""
    credentials = base64.b64encode(CREDENTIALS.encode()).decode()
    number = 0
    while not over.is_set():
        with httpx.Client(base_url=address, timeout=5) as client:
            while not over.is_set():
                person, number = chance.choice(people), number + 1
                try:
                    _act(client, settings, person, number, chance.random(), credentials)
                except httpx.HTTPError:
                    unanswered["requests"] += 1
                    break  # its connection is dead


def _act(client: httpx.Client, settings: Settings, person: Person, number: int, dice: float, credentials: str) -> None:
    one = person.invitation_id
    if dice < 0.05:
        reply = client.post(
            f"/u/{sign(settings.link_secret, one, Purpose.UNSUBSCRIBE)}", data={"List-Unsubscribe": "One-Click"}
        )
        person.has_left |= reply.status_code == 200
    elif dice < 0.15:
        report = {
            "RecordType": "Bounce",
            "ID": int(one[:8], 16) * 1_000_000 + number,
            "Type": "Transient",
            "Email": "someone@customer.example",
            "BouncedAt": "2026-03-02T09:00:00Z",
            "Metadata": {"closedloop-id": one},
        }
        head = {"Authorization": f"Basic {credentials}", "Content-Type": "application/json"}
        reply = client.post("/webhooks/postmark", content=json.dumps(report), headers=head)
        if reply.status_code == 200:
            person.bounces.add(f"Bounce-{report['ID']}")
    elif dice < 0.25:
        client.get(f"/s/{sign(settings.link_secret, one, Purpose.SURVEY)}?score=3")
    else:
        words, score = f"{one[:8]} {number}", number % 11
        person.sent.append((words, score))
        person.since.append((words, score))
        form = {"score": str(score), "comment": words, "input": "human"}
        reply = client.post(f"/s/{sign(settings.link_secret, one, Purpose.SURVEY)}", data=form)
        if reply.status_code == 200:
            person.acknowledged.append((words, score))
            person.since.clear()


def _compare(settings: Settings, people: list[Person], kills: int, unanswered: int) -> Outcome:
    heard: Counter[tuple[str, str]] = Counter()
    with Ledger.open(settings) as ledger, ledger.read() as conn:
        for invitation_id, payload in conn.execute(
            select(events.c.invitation_id, events.c.payload).where(events.c.kind == "answered")
        ):
            heard[invitation_id, json.loads(payload)["comment"]] += 1
        standing = {
            row.invitation_id: (row.comment, row.score)
            for row in conn.execute(select(answers.c.invitation_id, answers.c.comment, answers.c.score))
        }
        keys = dict(conn.execute(select(messages.c.invitation_id, messages.c.person_key)).tuples().all())
        gone = set(conn.scalars(select(suppressions.c.person_key)))
        reports = Counter(conn.scalars(select(provider_events.c.external_id)))
    lost = sum(heard[one.invitation_id, words] == 0 for one in people for words, _ in one.acknowledged)
    other = sum(
        standing.get(one.invitation_id) not in {one.acknowledged[-1], *one.since} for one in people if one.acknowledged
    )
    return Outcome(
        kills=kills,
        acknowledged=sum(len(one.acknowledged) + one.has_left + len(one.bounces) for one in people),
        unanswered=unanswered,
        lost=lost,
        doubled=sum(count > 1 for count in heard.values()),
        other_than_acknowledged=other,
        unsubscribes_lost=sum(one.has_left and keys[one.invitation_id] not in gone for one in people),
        reports_lost=sum(report not in reports for one in people for report in one.bounces),
        reports_doubled=sum(count > 1 for count in reports.values()),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = play(
            Path(folder) / "home", kills=asked.kills, seed=asked.seed, say=lambda text: print(text, flush=True)
        )
    for name in outcome.__dataclass_fields__:
        print(f"{name.replace('_', ' '):<28}{getattr(outcome, name):>8,}")
    print("the promise is kept" if outcome.is_kept else "THE PROMISE IS BROKEN")
    sys.exit(0 if outcome.is_kept else 1)


if __name__ == "__main__":
    main()
