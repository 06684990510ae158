"""The collector against a bare group commit of the same rows: `make bench-collector ARGS="--answers 20000"`.

Answers are posted by clients that keep their connection, as the page's script does, to a collector in a process of its own;
each is the first answer of another invitation. The floor writes the same rows (an event and the answer that stands) into the
same tables of the same ledger with SQLite's own driver, as many in a transaction as the collector had on average, each on
disk before the next. A second floor answers the same requests by the same server and framework without doing anything. Then
the collector is asked at half its rate, and every answer's time is taken.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import hashlib
import json
import shutil
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from closedloop.clock import Clock
from closedloop.ledger import Ledger
from closedloop.links import Purpose, sign
from closedloop.settings import REPO, Settings

NOW = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)


def settings_of(home: Path) -> Settings:
    return Settings(
        home=home, secret_key="key-of-the-benchmark", max_posts_per_minute=0, max_visits_per_minute=0, _env_file=None
    )


def key_of(number: int) -> str:
    return hashlib.md5(str(number).encode()).hexdigest()


def serve(home: Path, *, is_bare: bool) -> None:
    """The collector, or the same server and framework with nothing behind; prints its port."""
    from closedloop.serving import run
    from ingestion.collector.app import create_app

    sock = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(sock.getsockname()[1], flush=True)
    run(_nothing() if is_bare else create_app(settings_of(home), clock=Clock.starting_at(NOW)), sock)


def _nothing():
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def answer(request):
        async with request.form() as form:
            score = form["score"]
        return JSONResponse({"status": "recorded", "score": score})

    return Starlette(routes=[Route("/s/{token}", answer, methods=["POST"])])


def request_of(number: int) -> bytes:
    body = f"score={number % 11}&input=human&visible_ms=3000&comment=Friendly+people+{number}".encode()
    token = sign("benchmark", key_of(number), Purpose.SURVEY)
    return (
        f"POST /s/{token} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bool:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    await reader.readexactly(length)
    return head.startswith(b"HTTP/1.1 200")


async def _load(port: int, first: int, count: int, clients: int, rate: float) -> dict[str, object]:
    """Post `count` answers; at `rate` a second (0: as fast as they are taken). Times are from when each was due."""
    requests = [request_of(first + number) for number in range(count)]
    times: list[float] = []
    failures = 0
    following = iter(range(count))
    began = time.perf_counter()

    async def client() -> None:
        nonlocal failures
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in following:
            due = time.perf_counter()
            if rate:
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
            failures += not await _post(reader, writer, requests[number])
            times.append(time.perf_counter() - due)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return {"seconds": time.perf_counter() - began, "times": sorted(times), "failures": failures}


def floor(home: Path, count: int, group: int) -> float:
    """Seconds for the same rows, `group` to a transaction, by SQLite's own driver with full synchronisation."""
    conn = sqlite3.connect(home / "ledger.sqlite", isolation_level=None)
    conn.execute("PRAGMA synchronous = FULL")
    conn.execute("PRAGMA cache_size = -16384")
    at = "2026-03-02 09:00:00.000000"
    rows = [(key_of(number), number % 11, f"Friendly people {number}") for number in range(count)]
    event = (
        "INSERT INTO events (kind, message_id, invitation_id, survey_id, contact_id, account_id, occurred_at, recorded_at, "
        "payload) VALUES ('answered', ?, ?, 'post-close', ?, 'account', ?, ?, ?)"
    )
    answer = (
        "INSERT INTO answers (invitation_id, score, comment, answers, channel, judged, submitted_at, scored_at, changed_at, "
        "version, worked_version) VALUES (?, ?, ?, '{}', 'email', 'human', ?, ?, ?, 1, 0)"
    )
    began = time.perf_counter()
    for start in range(0, count, group):
        some = rows[start : start + group]
        conn.execute("BEGIN IMMEDIATE")
        payload = [json.dumps({"score": score, "comment": words, "judged": "human"}) for _, score, words in some]
        conn.executemany(event, [(k, k, k, at, at, text) for (k, _, _), text in zip(some, payload, strict=True)])
        conn.executemany(answer, [(key, score, words, at, at, at) for key, score, words in some])
        conn.execute("COMMIT")
    seconds = time.perf_counter() - began
    conn.close()
    return seconds


class Server:
    """A collector, or the bare server, in a process of its own."""

    def __init__(self, home: Path, *, is_bare: bool = False) -> None:
        command = [sys.executable, "-m", "benchmarks.collector", "--side", "bare" if is_bare else "serve", str(home)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPO)
        self.port = int(self._process.stdout.readline())

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.terminate()
        self._process.wait()

    def load(self, first: int, count: int, clients: int, rate: float = 0) -> dict[str, object]:
        found = asyncio.run(_load(self.port, first, count, clients, rate))
        if found["failures"]:
            raise SystemExit(f"{found['failures']} answers were refused")
        return found

    def commits(self) -> int:
        with socket.create_connection(("127.0.0.1", self.port)) as conn:
            conn.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            text = b"".join(iter(lambda: conn.recv(65536), b"")).decode()
        return int(text.split("\nclosedloop_collector_commits_total ")[1].split("\n")[0])


def measure(folder: Path, *, count: int, clients: int, repeats: int, say=print) -> list[dict[str, float]]:
    """All sides in turn, `repeats` times, each from a copy of the same planned ledger."""
    from benchmarks.sender import plan

    plan(folder / "planned", 2 * count)
    found = []
    for _ in range(repeats):
        home = folder / "home"
        shutil.copytree(folder / "planned", home)
        with Server(home) as server:
            before = server.commits()
            fast = server.load(0, count, clients)
            group = round(count / (server.commits() - before))
            rate = count / fast["seconds"]
            calm = server.load(count, min(count, int(rate * 5)), clients, rate / 2)
        with Ledger.open(settings_of(home)) as ledger, ledger.read() as conn:
            stored = conn.exec_driver_sql("select count(*) from answers").scalar_one()
        assert stored == count + len(calm["times"])
        shutil.rmtree(home)
        shutil.copytree(folder / "planned", home)
        floor_rate = count / floor(home, count, max(group, 1))
        with Server(home, is_bare=True) as server:
            bare_rate = count / server.load(0, count, clients)["seconds"]
        shutil.rmtree(home)
        times = calm["times"]
        one = {
            "collector": rate,
            "group": group,
            "floor": floor_rate,
            "ratio": rate / floor_rate,
            "server": bare_rate,
            "of_server": rate / bare_rate,
            "p50_ms": 1000 * times[len(times) // 2],
            "p99_ms": 1000 * times[int(len(times) * 0.99)],
        }
        say(
            f"collector {rate:,.0f}/s, {group} in a transaction; bare group commit {floor_rate:,.0f}/s, ratio "
            f"{one['ratio']:.2f}; server alone {bare_rate:,.0f}/s, ratio {one['of_server']:.2f}; at half the rate p50 "
            f"{one['p50_ms']:.1f} ms, p99 {one['p99_ms']:.1f} ms"
        )
        found.append(one)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--side", choices=["serve", "bare"], help=argparse.SUPPRESS)
    parser.add_argument("home", nargs="?", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side:
        serve(Path(asked.home), is_bare=asked.side == "bare")
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measure(
            Path(folder),
            count=asked.answers,
            clients=asked.clients,
            repeats=asked.repeats,
            say=lambda text: print(text, flush=True),
        )
    for name in ("ratio", "of_server", "p99_ms"):
        print(f"median {name.replace('_', ' ')} {statistics.median(one[name] for one in found):.2f}")


if __name__ == "__main__":
    main()
