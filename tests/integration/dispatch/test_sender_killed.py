"""The promise of the sender, with kill -9: at every commit, at every phase of the conversation, at any moment.

After each death the sender starts again. Then nothing was accepted twice, nothing is missing, the books balance, and a
message is uncertain only where the death fell between its hand-over and its result.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Iterator

import pytest
from ledger_world import candidate, plan
from mail_server import MailServer
from sender_driver import KILLED, Driver
from sqlalchemy import select

from closedloop.clock import Clock
from closedloop.errors import Busy
from closedloop.ledger import Ledger
from closedloop.ledger.books import books
from closedloop.ledger.schema import messages
from closedloop.settings import Settings

MESSAGES = 6

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def one_driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.close()


@pytest.fixture
def driver(one_driver: Driver, settings: Settings, clock: Clock) -> Driver:
    one_driver.home = {
        "home": str(settings.home),
        "smtp_url": settings.smtp_url,
        "offset": clock.offset.total_seconds(),
    }
    return one_driver


def _states(ledger: Ledger) -> dict[str, str]:
    with ledger.read() as conn:
        return dict(conn.execute(select(messages.c.message_id, messages.c.state)).tuples().all())


def _fresh(ledger: Ledger, server: MailServer, round_: int) -> set[str]:
    """Six new invitations to new people; earlier ones are done with."""
    server.accepted.clear()
    wave = f"wave {round_:03d}"
    return set(plan(ledger, [candidate(f"r{round_}p{number}", wave_id=wave) for number in range(MESSAGES)]))


def _kept_promise(ledger: Ledger, server: MailServer, ids: set[str], *, at_most_uncertain: int) -> set[str]:
    """Nothing twice, nothing missing, books balanced; returns the uncertain ones."""
    states = {message_id: state for message_id, state in _states(ledger).items() if message_id in ids}
    uncertain = {message_id for message_id, state in states.items() if state == "uncertain"}
    assert set(states) == ids
    assert set(states.values()) <= {"sent", "uncertain"}
    assert max(server.accepted.values(), default=0) <= 1, "a message was accepted twice"
    assert {message_id for message_id, state in states.items() if state == "sent"} <= set(server.accepted)
    assert set(server.accepted) <= ids
    assert len(uncertain) <= at_most_uncertain
    assert all(wave.balanced and wave.pending == 0 for wave in books(ledger))
    return uncertain


def test_killed_around_every_commit(ledger: Ledger, server: MailServer, driver: Driver):
    boundaries = deaths = with_handed = 0
    for when in ("before", "after"):
        commit = 0
        while True:
            commit, boundaries = commit + 1, boundaries + 1
            ids = _fresh(ledger, server, boundaries)
            status = driver.run(commit=commit, when=when)
            assert status in (0, KILLED)
            handed = [message_id for message_id, state in _states(ledger).items() if state == "handed"]
            assert driver.run() == 0
            # Two are handed over at a time, and one at most is shown to the server when the sender dies.
            assert _kept_promise(ledger, server, ids, at_most_uncertain=1) <= set(handed)
            if status == 0:
                break
            deaths += 1
            with_handed += bool(handed)
    # recovery (2), claim, three groups of hand-over and results; each before and after
    assert deaths >= 18
    assert 0 < with_handed < deaths


@pytest.mark.parametrize("phase", ["mail", "rcpt", "data", "body", "taken", "answered"])
@pytest.mark.parametrize("which", [1, 4])
def test_killed_at_a_phase_of_the_conversation(
    ledger: Ledger, server: MailServer, driver: Driver, phase: str, which: int
):
    ids = _fresh(ledger, server, 1)
    known, pid, seen = threading.Event(), [0], [0]

    def kill(now: str, _address: str) -> None:
        if now == phase:
            seen[0] += 1
            if seen[0] == which:
                known.wait(10)
                os.kill(pid[0], signal.SIGKILL)

    server.on = kill
    pid[0] = driver.start()
    known.set()
    assert driver.end() == KILLED
    assert driver.run() == 0
    uncertain = _kept_promise(ledger, server, ids, at_most_uncertain=1)
    if phase in ("mail", "rcpt", "data"):
        assert not uncertain, "the server had seen none of its data"
    else:
        assert uncertain or phase == "answered"


def test_killed_at_any_moment_again_and_again(ledger: Ledger, server: MailServer, driver: Driver):
    chance = random.Random(20260302)
    server.pause = 0.004
    ids = set(plan(ledger, [candidate(f"p{number}") for number in range(120)]))
    deaths = 0
    for _ in range(12):
        pid = driver.start()
        timer = threading.Timer(chance.uniform(0.02, 0.25), os.kill, (pid, signal.SIGKILL))
        timer.start()
        ended = driver.end()
        timer.cancel()
        deaths += ended == KILLED
        if ended == 0:
            break
    assert deaths >= 3
    if ended != 0:
        assert driver.run() == 0
    _kept_promise(ledger, server, ids, at_most_uncertain=deaths)


def test_a_second_process_is_told_to_wait_and_takes_nothing(
    ledger: Ledger, settings: Settings, server: MailServer, driver: Driver, clock: Clock
):
    from dispatch.sender import send_due

    ids = _fresh(ledger, server, 1)
    at_work, go_on = threading.Event(), threading.Event()

    def wait(phase: str, _address: str) -> None:
        if phase == "data":
            at_work.set()
            go_on.wait(10)

    server.on = wait
    driver.start()
    assert at_work.wait(10)
    with pytest.raises(Busy):
        send_due(ledger, settings, [], clock=clock)
    go_on.set()
    assert driver.end() == 0
    assert _kept_promise(ledger, server, ids, at_most_uncertain=0) == set()
