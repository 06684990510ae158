"""A sender that is killed again and again, against a mail server that cuts, delays, lies and refuses at every phase.

`python tests/support/sender_chaos.py --messages 10000 --kills 500` plays it in full (`make chaos`), the suite a short form.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import random
import signal
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import contextlib

from ledger_world import NOW, candidate, plan
from mail_server import MailServer
from sender_driver import KILLED, Driver
from sqlalchemy import select

from closedloop.clock import Clock
from closedloop.ledger import Ledger
from closedloop.ledger.books import books
from closedloop.ledger.reconcile import reconcile
from closedloop.ledger.schema import messages
from closedloop.settings import Settings

FAULTS = {
    **dict.fromkeys(("mail-451", "rcpt-450", "data-451", "content-452"), 3.0),
    **dict.fromkeys(("rcpt-550", "data-554", "content-554"), 2.0),
    **dict.fromkeys(("cut-at-mail", "cut-before-data", "cut-in-data", "closing"), 3.0),
    **dict.fromkeys(("cut-unaccepted", "cut-accepted", "garbage"), 2.0),
    **dict.fromkeys(("mail-530", "slow"), 0.2),
}
"""How often each is drawn. The last two cost a second or a whole run."""
SHARE = 0.25
"""Of the messages that meet a fault."""


@dataclass
class Outcome:
    """What stood at the end; `in_doubt` is what was uncertain before any evidence, `allowed` what the promise allows."""

    messages: int
    kills: int
    connections_killed: int
    lost_replies: int
    accepted_twice: int
    unaccounted: int
    sent_but_not_accepted: int
    rejected_but_accepted: int
    in_doubt: int
    without_evidence: int
    after_reconciliation: int
    sent: int
    rejected: int
    is_balanced: bool

    @property
    def allowed(self) -> int:
        return self.connections_killed + self.lost_replies

    @property
    def is_kept(self) -> bool:
        """Whether the promise of the sender held."""
        broken = (self.accepted_twice, self.unaccounted, self.sent_but_not_accepted, self.rejected_but_accepted)
        return (
            not any(broken)
            and self.in_doubt <= self.allowed
            and self.without_evidence == self.in_doubt
            and self.after_reconciliation == 0
            and self.sent + self.rejected == self.messages
            and self.is_balanced
        )


class _Everything:
    """The server's own list of what it took, as a provider's API would give it."""

    name = "the provider"

    def __init__(self, server: MailServer) -> None:
        self._server = server

    def accepted(self, message_ids: Iterable[str]) -> set[str]:
        return set(message_ids) & set(self._server.accepted)

    def covers(self, begins: dt.datetime, ends: dt.datetime) -> bool:
        return True


def play(
    home: Path, *, count: int, kills: int, seed: int = 1, progress: Callable[[str], None] = lambda _: None
) -> Outcome:
    """Plan `count` messages, and kill the sender `kills` times on the way, at phases of the conversation and between them."""
    chance = random.Random(seed)
    server = MailServer(pipelining=True)
    settings = Settings(home=home, smtp_url=server.url, _env_file=None)
    settings.ensure_home()
    driver = Driver()
    clock = Clock.starting_at(NOW)
    try:
        with Ledger.open(settings) as ledger:
            ids = set(plan(ledger, [candidate(f"p{number}") for number in range(count)]))
            for number in range(count):
                if chance.random() < SHARE:
                    [fault] = chance.choices(list(FAULTS), list(FAULTS.values()))
                    server.fail(f"p{number}@customer.example", fault)
            driver.home = {"home": str(home), "smtp_url": server.url, "group": 32}
            offset = clock.offset.total_seconds()
            deaths, connections_killed, life = 0, 0, max(2, 5 * count // kills)
            while deaths < kills and _waiting(ledger):
                offset += 600
                connections = chance.randint(1, 3)
                died = _live_and_die(driver, server, chance, life, offset, connections)
                deaths += died
                connections_killed += connections * died
                if died and deaths % 25 == 0:
                    progress(f"{deaths} kills, {server.accepted.total():,} messages accepted")
            _finish(driver, ledger, offset)
            states = _states(ledger)
            in_doubt = Counter(states.values())["uncertain"]
            sent = {key for key, state in states.items() if state == "sent"}
            rejected = {key for key, state in states.items() if state == "rejected"}
            wrong = (len(sent - set(server.accepted)), len(rejected & set(server.accepted)))
            after = clock.now() + dt.timedelta(days=10)
            reconcile(ledger, now=after)
            without_evidence = Counter(_states(ledger).values())["uncertain"]
            reconcile(ledger, log=_Everything(server), now=after)
            after_reconciliation = Counter(_states(ledger).values())["uncertain"]
            _finish(driver, ledger, offset + 86_400)
            states = _states(ledger)
            ended = Counter(states.values())
            return Outcome(
                messages=count,
                kills=deaths,
                connections_killed=connections_killed,
                lost_replies=server.lost_replies,
                accepted_twice=sum(times > 1 for times in server.accepted.values()),
                unaccounted=len(ids ^ set(states))
                + len(set(server.accepted) - ids)
                + ended["pending"]
                + ended["handed"],
                sent_but_not_accepted=wrong[0],
                rejected_but_accepted=wrong[1],
                in_doubt=in_doubt,
                without_evidence=without_evidence,
                after_reconciliation=after_reconciliation,
                sent=ended["sent"],
                rejected=ended["rejected"],
                is_balanced=all(wave.balanced for wave in books(ledger)),
            )
    finally:
        driver.close()
        server.close()


def _live_and_die(
    driver: Driver, server: MailServer, chance: random.Random, life: int, offset: float, connections: int
) -> bool:
    """One life of the sender, which ends at a phase of the conversation drawn by lot, or a moment later. Whether it was
    killed: it may have ended before."""
    known, pid, seen = threading.Event(), [0], [0]
    which, late = chance.randint(1, 2 * life), chance.choice((0.0, 0.0, 0.001, 0.004))

    def kill(_phase: str, _address: str) -> None:
        seen[0] += 1
        if seen[0] == which:
            known.wait(10)
            threading.Timer(late, _kill, (pid[0],)).start() if late else _kill(pid[0])

    server.on = kill
    pid[0] = driver.start(offset=offset, connections=connections)
    known.set()
    ended = driver.end()
    server.on = lambda phase, address: None
    assert ended in (KILLED, 0, 3), f"a sender ended with {ended}"
    return ended == KILLED


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _finish(driver: Driver, ledger: Ledger, offset: float) -> None:
    """Run until nothing is left to send."""
    for _ in range(100):
        offset += 3600
        driver.run(offset=offset)
        if not _waiting(ledger):
            return
    raise AssertionError("messages stay pending for good")


def _waiting(ledger: Ledger) -> bool:
    return bool({"pending", "claimed", "handed"} & set(_states(ledger).values()))


def _states(ledger: Ledger) -> dict[str, str]:
    with ledger.read() as conn:
        return dict(conn.execute(select(messages.c.message_id, messages.c.state)).tuples().all())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        outcome = play(
            Path(folder) / "home",
            count=asked.messages,
            kills=asked.kills,
            seed=asked.seed,
            progress=lambda text: print(text, flush=True),
        )
    for name, value in vars(outcome).items():
        print(f"{name.replace('_', ' '):<24}{value:>10,}")
    print(f"{'allowed in doubt':<24}{outcome.allowed:>10,}")
    print("the promise is kept" if outcome.is_kept else "THE PROMISE IS BROKEN")
    sys.exit(not outcome.is_kept)


if __name__ == "__main__":
    main()
