"""The supervisor's own means: ports, and children that leave nobody behind."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from closedloop.errors import BadInput
from orchestration.processes import MARK, Child, marked, stop
from orchestration.up import _signals, check_ports

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="marks are read from /proc")

# Starts a grandchild in a session of its own, which outlives its parent, and (unless told) ignores SIGTERM.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"], start_new_session=True)
time.sleep(300)
"""


def child(tmp_path: Path, code: str, mark: str) -> Child:
    return Child("part", [sys.executable, "-c", code], "", "", tmp_path / "part.log", {**os.environ, MARK: mark})


def wait_for(condition, seconds: float = 10) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.05)
    return False


@needs_proc
def test_no_process_stays_however_stubborn(tmp_path: Path) -> None:
    part = child(tmp_path, STUBBORN, str(tmp_path))
    part.start()
    assert wait_for(lambda: len(marked(str(tmp_path))) == 2)
    assert stop([part], str(tmp_path), patience=0.5) == 2
    assert marked(str(tmp_path)) == []
    assert part.died


@needs_proc
def test_a_willing_child_is_asked_and_not_killed(tmp_path: Path) -> None:
    part = child(
        tmp_path,
        "import time\nprint('up', flush=True)\ntry:\n    time.sleep(300)\nexcept KeyboardInterrupt:\n    print('bye')",
        str(tmp_path),
    )
    part.stop_with = signal.SIGINT
    part.start()
    assert wait_for(lambda: "up" in (tmp_path / "part.log").read_text())
    assert stop([part], str(tmp_path)) == 0
    assert part.last_words().endswith("bye")


def test_a_port_in_use_is_named_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=f"port {port}, wanted by the collector") as caught:
            check_ports({"collector": (port, "--collector-port")})
    assert caught.value.field == "--collector-port"
    assert "--collector-port" in caught.value.remedy
    check_ports({"collector": (port, "--collector-port")})


def test_two_parts_cannot_have_one_port() -> None:
    with pytest.raises(BadInput, match="mailbox and collector cannot both have port 8080"):
        check_ports({"collector": (8080, "--collector-port"), "mailbox": (8080, "--mailbox-port")})


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda which: which.name)
def test_whatever_ends_up_lets_it_stop_its_parts_first(which: signal.Signals) -> None:
    asked, before = threading.Event(), signal.getsignal(which)
    with _signals(asked):
        os.kill(os.getpid(), which)
        assert asked.wait(5)
    assert signal.getsignal(which) is before
