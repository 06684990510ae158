"""Starts the dashboard as a process of its own."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

from closedloop.errors import BadInput
from closedloop.settings import Settings

APP = Path(__file__).with_name("app.py")

# Only on this machine, without telemetry, without a browser of its own, and in colours that are checked for contrast.
OPTIONS = {
    "server.address": "127.0.0.1",
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "viewer",
    "client.showErrorDetails": "none",
    "theme.base": "light",
    "theme.primaryColor": "#0b63a5",
    "theme.textColor": "#1c2430",
    "theme.backgroundColor": "#ffffff",
    "theme.secondaryBackgroundColor": "#f3f5f8",
}


def command(port: int) -> list[str]:
    """The command line that serves the app on loopback."""
    options = {**OPTIONS, "server.port": str(port)}
    flags = [f"--{name}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "streamlit", "run", str(APP), *flags]


def environment(settings: Settings) -> dict[str, str]:
    """The environment in which the app finds this home and this code."""
    root = str(APP.parent.parent)
    path = os.pathsep.join(part for part in (root, os.environ.get("PYTHONPATH", "")) if part)
    return {**os.environ, "CLOSEDLOOP_HOME": str(settings.home.resolve()), "PYTHONPATH": path}


def run_dashboard(settings: Settings, port: int) -> None:
    """Become the dashboard's server (this process is replaced). Raises BadInput when the port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise BadInput(
                f"port {port} cannot be used ({error.strerror})", field="--port", remedy="choose another with --port"
            ) from error
    os.execve(sys.executable, command(port), environment(settings))
