"""The promise: a 2xx means that the answer is on disk, however the server ends and however many answer at once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from collector_chaos import play
from postgres import new_database
from sqlalchemy import select

from closedloop.errors import BadInput
from closedloop.ledger import Ledger
from closedloop.ledger.answers import invitation
from closedloop.ledger.schema import events
from closedloop.links import Purpose, sign
from closedloop.settings import Settings
from ingestion.collector.serve import serve

PROGRAM = """
from pathlib import Path
import sys
from closedloop.settings import Settings
from closedloop.settings import Settings
from ingestion.collector.serve import serve
serve(Settings(home=Path(sys.argv[1]), _env_file=None), 0)
"""


@pytest.fixture
def server(settings):
    """The collector as its own process; yields (process, address)."""
    running = []

    def start() -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-c", PROGRAM, str(settings.home)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(process)
        assert process.stdout is not None
        address = process.stdout.readline().split()[-1]
        for _ in range(200):
            try:
                if httpx.get(address + "/healthz").status_code == 200:
                    return process, address
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("the collector did not start")

    yield start
    for process in running:
        process.kill()
        process.wait()


def test_an_acknowledged_answer_survives_kill_9(server, settings, invite) -> None:
    invited = [invite(f"person{number}", valid_days=36_500) for number in range(8)]
    process, address = server()
    with httpx.Client(base_url=address) as client:
        for number, one in enumerate(invited):
            token = sign(settings.link_secret, one, Purpose.SURVEY)
            reply = client.post(f"/s/{token}", data={"score": str(number), "input": "human"})
            assert reply.status_code == 200
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with Ledger.open(settings) as ledger, ledger.read() as conn:
        assert [invitation(conn, one).answer.score for one in invited] == list(range(8))


def test_fifty_at_once_are_all_stored_in_fewer_commits(server, settings, invite) -> None:
    invited = [invite(f"person{number}", valid_days=36_500) for number in range(50)]
    process, address = server()

    async def answer_all() -> list[int]:
        async with httpx.AsyncClient(base_url=address, timeout=30) as client:
            tokens = [sign(settings.link_secret, one, Purpose.SURVEY) for one in invited]
            posts = [
                client.post(f"/s/{token}", data={"score": str(n % 11), "input": "human"})
                for n, token in enumerate(tokens)
            ]
            return [reply.status_code for reply in await asyncio.gather(*posts)]

    assert asyncio.run(answer_all()) == [200] * 50
    metrics = httpx.get(address + "/metrics").text
    commits = int(
        next(line for line in metrics.splitlines() if line.startswith("closedloop_collector_commits_total")).split()[1]
    )
    assert commits < 50
    with Ledger.open(settings) as ledger, ledger.read() as conn:
        assert [invitation(conn, one).answer.score for one in invited] == [n % 11 for n in range(50)]
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=15) == 0


def test_what_cannot_be_committed_is_not_acknowledged(client, settings, ledger, invite) -> None:
    ada = invite("ada")
    path = f"/s/{sign(settings.link_secret, ada, Purpose.SURVEY)}"
    with sqlite3.connect(settings.home / "ledger.sqlite") as other:
        other.execute("CREATE TRIGGER full BEFORE INSERT ON events BEGIN SELECT RAISE(FAIL, 'disk is full'); END")
    page = client.post(path, data={"score": "9", "input": "human"})
    assert (page.status_code, page.headers["retry-after"]) == (503, "5")
    assert "Please try again" in page.text
    assert client.post(path, data={"score": "9"}, headers={"Accept": "application/json"}).status_code == 503
    assert client.get(path).status_code == 503
    assert client.get(f"/o/{sign(settings.link_secret, ada, Purpose.OPEN)}.gif").status_code == 200
    with sqlite3.connect(settings.home / "ledger.sqlite") as other:
        other.execute("DROP TRIGGER full")
    assert client.post(path, data={"score": "9", "input": "human"}).status_code == 200


def test_a_port_in_use_is_named(settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(BadInput, match="in use") as caught:
        serve(settings, taken.getsockname()[1])
    assert "--port" in str(caught.value)


def test_killed_again_and_again_under_load(tmp_path) -> None:
    """The short form of `make chaos-collector`."""
    outcome = play(tmp_path / "home", kills=8, seed=5)
    assert outcome.acknowledged > 20
    assert outcome.is_kept, outcome


@pytest.mark.postgres
def test_two_workers_on_postgresql_share_invitations(postgres_server, tmp_path, invite_into) -> None:
    """Both write answers to the same invitations at once: one stands for each, and none of the history is lost."""
    url = new_database(postgres_server)
    settings = Settings(home=tmp_path / "home", engine="shared", ledger_url=url, secret_key="k" * 40, _env_file=None)
    with Ledger.open(settings) as ledger:
        invited = [invite_into(ledger, f"person{number}", valid_days=36_500) for number in range(4)]
    variables = {"HOME": settings.home, "ENGINE": "shared", "LEDGER_URL": url, "SECRET_KEY": "k" * 40}
    process = subprocess.Popen(
        [sys.executable, "-m", "orchestration.cli", "serve", "collector", "--port", "0", "--workers", "2"],
        env={**os.environ, **{f"CLOSEDLOOP_{name}": str(value) for name, value in variables.items()}},
        stdout=subprocess.PIPE,
        text=True,
    )
    address = process.stdout.readline().split()[-1]

    def answer(number: int) -> int:
        token = sign(settings.link_secret, invited[number % 4], Purpose.SURVEY)
        form = {"score": str(number % 11), "comment": f"words {number}", "input": "human"}
        return httpx.post(f"{address}/s/{token}", data=form, timeout=30).status_code

    try:
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(answer, range(80))) == [200] * 80
        with Ledger.open(settings) as ledger, ledger.read() as conn:
            payloads = [json.loads(one) for one in conn.scalars(select(events.c.payload).where(KIND == "answered"))]
            assert sorted(one["comment"] for one in payloads) == sorted(f"words {number}" for number in range(80))
            assert sorted(one["version"] for one in payloads) == sorted(list(range(1, 21)) * 4)
            last = {one.comment for one in (invitation(conn, each).answer for each in invited)}
            assert last == {one["comment"] for one in payloads if one["version"] == 20}
        workers = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True
        ).stdout.split()
        assert len(workers) >= 2
        until, told = time.monotonic() + 20, []
        while told != [80] * 10 and time.monotonic() < until:  # what the others know is a second old at most
            told = [_answers_told(address) for _ in range(10)]
        assert told == [80] * 10, "whichever worker is asked"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0


def _answers_told(address: str) -> int:
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("closedloop_collector_answers_total"))


KIND = events.c.kind
