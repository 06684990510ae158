"""`closedloop up` with its real parts: it starts, it notices a death, and no process of it ever stays."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestration.processes import marked

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="processes are found through /proc"),
]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextmanager
def up(home: Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, int], Path]]:
    names = ("ui", "collector", "mailbox", "dashboard", "smtp")
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    flags = [word for name in names[:4] for word in (f"--{name}-port", str(ports[name]))]
    said = home.parent / "said.txt"
    environment = {
        **os.environ,
        "CLOSEDLOOP_HOME": str(home),
        "CLOSEDLOOP_SMTP_URL": f"smtp://127.0.0.1:{ports['smtp']}",
        "COLUMNS": "160",
    }
    with said.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "orchestration.cli", "up", *flags],
            env=environment,
            stdout=out,
            stderr=out,
            text=True,
        )
    try:
        yield process, ports, said
    finally:
        process.kill()
        process.wait()
        for pid in marked(str(home)):
            os.kill(pid, signal.SIGKILL)


def wait_for(condition, seconds: float) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.2)
    return False


def test_stopped_while_starting_it_leaves_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with up(home) as (process, _, said):
        assert wait_for(lambda: len(marked(str(home))) >= 4, 60), said.read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, said.read_text()
        assert marked(str(home)) == []
        assert "stopped" in said.read_text()


def test_every_part_answers_and_the_death_of_one_stops_all(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with up(home) as (process, ports, said):
        assert wait_for(lambda: "Ctrl-C stops everything" in said.read_text() or process.poll() is not None, 240)
        text = said.read_text()
        for name, path in {"ui": "/server_info", "collector": "/healthz", "mailbox": "/", "dashboard": "/"}.items():
            address = f"http://127.0.0.1:{ports[name]}"
            assert address in text
            assert urllib.request.urlopen(address + path, timeout=20).status == 200
        # A second one for the same home is told so, and the first goes on.
        second = subprocess.run(
            [sys.executable, "-m", "orchestration.cli", "up"],
            env={**os.environ, "CLOSEDLOOP_HOME": str(home)},
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert second.returncode == 1
        assert "up already" in second.stderr
        collector = next(
            pid for pid in marked(str(home)) if b"collector" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        )
        os.kill(collector, signal.SIGKILL)
        assert process.wait(90) == 1
        assert "collector ended by itself" in said.read_text()
        assert marked(str(home)) == []


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "orchestration.cli", "up", "--ui-port", str(port)],
            env={**os.environ, "CLOSEDLOOP_HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert done.returncode == 2
    assert f"port {port}, wanted by the Dagster UI" in done.stderr
    assert "--ui-port" in done.stderr
    assert marked(str(tmp_path / "home")) == []
