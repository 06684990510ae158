"""`closedloop up`: Dagster's UI and daemon, collector, mailbox and dashboard on loopback, until Ctrl-C."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from rich.console import Console
from rich.table import Table

from closedloop.errors import BadInput, ClosedLoopError
from closedloop.locks import only_one
from closedloop.settings import REPO, Settings
from orchestration.dagster_home import environment, fail_dead_runs, open_instance
from orchestration.processes import MARK, Child, kill_marked, marked, stop

LOOPBACK = "127.0.0.1"
WORKSPACE = REPO / "workspace.yaml"
PATIENCE = 240.0
"""Seconds in which every part must answer after the start."""
LOCK = "up.lock"
BUSY = "this home is up already\n  what to do: use that one, stop it, or set CLOSEDLOOP_HOME to another home"
_LOCAL = {LOOPBACK, "localhost", "::1"}


def up(
    settings: Settings, *, ui_port: int = 3000, collector_port: int = 8080, mailbox_port: int = 8081,
    dashboard_port: int = 8501, stop_event: threading.Event | None = None, workspace: Path = WORKSPACE,
) -> None:  # fmt: skip
    """Start all parts, print their addresses, and stay until Ctrl-C or SIGTERM (or `stop_event`, in tests).

    `workspace` names the code locations that Dagster loads.

    Raises BadInput, before anything is started, when a port is taken; Busy when this home is up already;
    ClosedLoopError when a part dies. However it ends, no process stays.
    """
    console = Console(highlight=False)
    ports = {
        "Dagster UI": (ui_port, "--ui-port"),
        "collector": (collector_port, "--collector-port"),
        "mailbox": (mailbox_port, "--mailbox-port"),
        "dashboard": (dashboard_port, "--dashboard-port"),
    }
    smtp = urlsplit(settings.smtp_url)
    own_mailbox = smtp.hostname in _LOCAL
    if own_mailbox:
        ports["mail sink (SMTP)"] = (smtp.port or 25, "CLOSEDLOOP_SMTP_URL")
    else:
        del ports["mailbox"]
    settings.ensure_home()
    mark = str(settings.home.resolve())
    with only_one(settings.home / LOCK, busy=BUSY):
        if left := kill_marked(mark):
            console.print(f"ended {left} process(es) that an earlier `up` of this home left behind")
        check_ports(ports)
        instance = open_instance(settings)
        if dead := fail_dead_runs(instance):
            console.print(f"{len(dead)} run(s) that died with an earlier process are now marked as failed")
        instance.dispose()
        children = _children(settings, ports, mark, own_mailbox, workspace)
        asked_to_stop = stop_event or threading.Event()
        with _signals(asked_to_stop):
            try:
                _start(children, asked_to_stop, console)
                if not asked_to_stop.is_set():
                    _print_addresses(console, settings, children, own_mailbox)
                while not asked_to_stop.wait(0.5):
                    _demand_alive(children)
            finally:
                console.print("stopping ...")
                killed = stop(children, mark)
                left = marked(mark)
                console.print(
                    f"stopped{f', {killed} of them by force' if killed else ''}"
                    if not left
                    else f"still there: processes {left}"
                )


def check_ports(ports: dict[str, tuple[int, str]]) -> None:
    """See that every port is free and none is named twice. Raises BadInput naming the port and how to change it."""
    seen: dict[int, str] = {}
    for name, (port, flag) in ports.items():
        if port in seen:
            raise BadInput(f"{name} and {seen[port]} cannot both have port {port}", field=flag, remedy="choose another")
        seen[port] = name
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError as error:
                raise BadInput(
                    f"port {port}, wanted by the {name}, cannot be used ({(error.strerror or 'not free').lower()})",
                    field=flag,
                    remedy=f"stop the program that listens there, or choose another port with {flag}",
                ) from None


def _children(
    settings: Settings, ports: dict[str, tuple[int, str]], mark: str, own_mailbox: bool, workspace: Path
) -> list[Child]:
    def address(name: str) -> str:
        return f"http://{LOOPBACK}:{ports[name][0]}"

    inherited = {
        **os.environ,
        **environment(settings),
        MARK: mark,
        "CLOSEDLOOP_UI_URL": address("Dagster UI"),
        "PYTHONUNBUFFERED": "1",
        # dbt must be found by name, whoever activated which environment.
        "PATH": os.pathsep.join([os.path.dirname(sys.executable), os.environ.get("PATH", "")]),
    }
    if urlsplit(settings.collector_url).hostname in _LOCAL:
        inherited["CLOSEDLOOP_COLLECTOR_URL"] = address("collector")
    logs = settings.home / "logs"

    def serve(name: str, probe: str) -> Child:
        command = [sys.executable, "-m", "orchestration.cli", "serve", name, "--port", str(ports[name][0])]
        return Child(name, command, address(name), probe, logs / f"{name}.log", inherited)

    dagster = Child(
        "Dagster UI",
        [
            *[sys.executable, "-W", "ignore", "-m", "dagster", "dev", "--workspace", str(workspace)],
            *["--host", LOOPBACK, "--port", str(ports["Dagster UI"][0])],
            *["--log-level", "warning", "--code-server-log-level", "warning"],
        ],
        address("Dagster UI"),
        "/server_info",
        logs / "dagster.log",
        inherited,
        stop_with=signal.SIGINT,
    )
    parts = [serve("collector", "/healthz"), *([serve("mailbox", "/")] if own_mailbox else [])]
    return [dagster, *parts, serve("dashboard", "/_stcore/health")]


def _start(children: list[Child], asked_to_stop: threading.Event, console: Console) -> None:
    for child in children:
        child.start()
    waiting = list(children)
    until = time.monotonic() + PATIENCE
    with console.status("starting ...") as status:
        while waiting and not asked_to_stop.wait(0.2):
            _demand_alive(children)
            waiting = [child for child in waiting if not _answers(child)]
            status.update(f"waiting for {', '.join(child.name for child in waiting)} ...")
            if time.monotonic() > until:
                raise ClosedLoopError(
                    f"{waiting[0].name} does not answer at {waiting[0].url} after {PATIENCE:.0f} s\n"
                    f"  its log: {waiting[0].log}\n{waiting[0].last_words()}"
                )


def _answers(child: Child) -> bool:
    parts = urlsplit(child.url)
    connection = http.client.HTTPConnection(parts.hostname or LOOPBACK, parts.port, timeout=2)
    try:
        connection.request("GET", child.probe)
        return connection.getresponse().status < 500
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _demand_alive(children: list[Child]) -> None:
    for child in children:
        if child.died:
            raise ClosedLoopError(
                f"{child.name} ended by itself (exit code {child.process.returncode}); everything is stopped\n"
                f"  its log: {child.log}\n{child.last_words()}"
            )


def _print_addresses(console: Console, settings: Settings, children: list[Child], own_mailbox: bool) -> None:
    about = {
        "Dagster UI": "runs, assets, checks, schedules",
        "collector": "what survey links point to",
        "mailbox": "sent mails: open one, click a score",
        "dashboard": "the published numbers",
    }
    table = Table(box=None, padding=(0, 2), show_header=False)
    for child in children:
        table.add_row(f"[bold]{child.name}[/bold]", child.url, about[child.name])
    console.print(table)
    if not own_mailbox:
        console.print(f"  mail goes to {urlsplit(settings.smtp_url).hostname}, so there is no mailbox here")
    console.print(f"\n  home {settings.home}, logs in {settings.home / 'logs'}. Ctrl-C stops everything.\n")


@contextmanager
def _signals(asked_to_stop: threading.Event) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal ask to stop; a second one while stopping is ignored. Only a main thread can
    do that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asking = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as it is under nohup
        asking.append(signal.SIGHUP)
    before = {which: signal.signal(which, lambda *_: asked_to_stop.set()) for which in asking}
    try:
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
