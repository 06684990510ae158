"""A disk that takes nothing more: nothing is acknowledged that is not on it, and what was, is."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from closedloop.ledger import Ledger
from closedloop.ledger.answers import invitation
from closedloop.links import Purpose, sign
from closedloop.settings import Settings

PROGRAM = """
from pathlib import Path
import sys
from closedloop.settings import Settings
from ingestion.collector.serve import serve
serve(Settings(home=Path(sys.argv[1]), _env_file=None), 0)
"""


def _mount(where: Path, options: str) -> bool:
    where.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", options, "none", str(where)]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0


class Limit:
    """The system refuses the process to let files grow: works everywhere."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"

    def fill(self, process: subprocess.Popen[str]) -> None:
        largest = max(file.stat().st_size for file in self.home.glob("ledger.sqlite*"))
        _, self._hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (largest + 5000, self._hard))

    def clear(self, process: subprocess.Popen[str]) -> None:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (self._hard, self._hard))

    def close(self) -> None: ...


class SmallDisk:
    """A real file system of a few megabytes, where this user may mount one."""

    def __init__(self, folder: Path) -> None:
        self.disk, self.home = folder / "disk", folder / "disk" / "home"
        self.is_there = _mount(self.disk, "size=8m")

    def fill(self, process: subprocess.Popen[str]) -> None:
        with (self.disk / "other").open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass

    def clear(self, process: subprocess.Popen[str]) -> None:
        (self.disk / "other").unlink()

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.disk)], check=True)


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[list[Limit | SmallDisk]]:
    found: list[Limit | SmallDisk] = [Limit(tmp_path)]
    small = SmallDisk(tmp_path)
    if small.is_there:
        found.append(small)
    yield found
    if small.is_there:
        small.close()


def test_what_does_not_fit_is_refused_and_what_was_acknowledged_stays(disks, invite_into) -> None:
    for disk in disks:
        settings = Settings(home=disk.home, max_posts_per_minute=0, _env_file=None)
        settings.ensure_home()
        with Ledger.open(settings) as ledger:
            ids = [invite_into(ledger, f"person{number}", valid_days=36_500) for number in range(60)]
        paths = [f"/s/{sign(settings.link_secret, one, Purpose.SURVEY)}" for one in ids]
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(settings.home)], stdout=subprocess.PIPE, text=True
        )
        address = process.stdout.readline().split()[-1]
        with httpx.Client(base_url=address, timeout=30) as client:
            _wait_until_ready(client)
            answer = {"score": "9", "input": "human", "comment": "x" * 4000}
            assert client.post(paths[0], data=answer).status_code == 200
            disk.fill(process)
            replies = [client.post(path, data=answer) for path in paths]
            refused = [reply for reply in replies if reply.status_code == 503]
            acknowledged = [one for one, reply in zip(ids, replies, strict=True) if reply.status_code == 200]
            assert len(refused) + len(acknowledged) == len(ids)
            assert refused, "the disk is full"
            assert all(reply.headers["Retry-After"] == "5" and "Please try again" in reply.text for reply in refused)
            assert client.get("/healthz").status_code == 503
            disk.clear(process)
            assert client.post(paths[-1], data=answer).status_code == 200
            assert client.get("/healthz").status_code == 200
        process.kill()
        process.wait()
        with Ledger.open(settings) as ledger, ledger.read() as conn:
            kept = {one for one in ids if invitation(conn, one).answer is not None}
        assert kept == {ids[0], *acknowledged, ids[-1]}


def test_a_home_on_a_read_only_disk_is_refused_at_the_start(tmp_path: Path) -> None:
    """Where nothing can be mounted, a home that is no folder stands for it: the same refusal at the same place."""
    home = tmp_path / "disk" / "home"
    is_mounted = _mount(tmp_path / "disk", "ro")
    if not is_mounted:
        home.touch()
    done = subprocess.run(
        [sys.executable, "-m", "orchestration.cli", "serve", "collector", "--port", "0"],
        env={**os.environ, "CLOSEDLOOP_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    if is_mounted:
        subprocess.run(["umount", str(tmp_path / "disk")], check=True)
    assert done.returncode == 2
    assert "the home folder cannot be written" in done.stderr
    assert "CLOSEDLOOP_HOME" in done.stderr


def _wait_until_ready(client: httpx.Client) -> None:
    for _ in range(200):
        try:
            if client.get("/healthz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError("the collector did not start")
