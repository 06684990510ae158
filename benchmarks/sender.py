"""The sender with its ledger against a bare loop that hands over the same mails: `make bench-sender ARGS="--messages 100000"`.

Both use the same SMTP library, each over one connection unless told otherwise, to the same server, in processes of their own, in turn. The sender renders
100,000 different mails, takes them from the ledger, marks each group before the server sees it and writes down what became of
it; the bare loop reads mails that were rendered before. With `--postfix` the server is a Postfix that discards what it takes.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import hashlib
import json
import os
import shutil
import smtplib
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from closedloop.clock import Clock
from closedloop.identity import person_key
from closedloop.ledger import Ledger
from closedloop.ledger.books import books
from closedloop.ledger.history import write_round
from closedloop.programme import load_surveys
from closedloop.settings import REPO, Settings

NOW = dt.datetime(2026, 3, 2, 9, tzinfo=dt.UTC)
SURVEY = "post-close"


def settings_of(home: Path, port: int, connections: int = 1) -> Settings:
    return Settings(
        home=home,
        smtp_url=f"smtp://127.0.0.1:{port}",
        smtp_connections=connections,
        wave_approval_size=10_000_000,
        live_sending=True,
        _env_file=None,
    )


def plan(home: Path, count: int) -> None:
    """Seal `count` invitations to as many people, each with its own name, account and links."""
    from orchestration.reports import sample_message  # here, so that the sender's process does not pay for it

    survey = {one.id: one for one in load_surveys(REPO / "surveys")}[SURVEY].model_copy(update={"business_hours": None})

    def messages() -> Iterator[dict]:
        for number in range(count):
            key = hashlib.md5(str(number).encode()).hexdigest()
            name = f"person{number}"
            message = sample_message(survey, f"{name}@customer{number % 997}.example")
            message["payload"] |= {
                "first_name": f"Ada {number}",
                "last_name": name,
                "contact_name": f"Ada {number} {name}",
            }
            message["payload"] |= {"account_name": f"Company {number % 5000}"}
            yield message | {
                **dict.fromkeys(("message_id", "invitation_id", "candidate_id"), key),
                "contact_id": name,
                "account_id": f"account{number % 5000}",
                "person_key": person_key(f"{name}@customer{number % 997}.example"),
                "wave_id": f"{SURVEY}:{number // 10_000}",
                "planned_at": NOW,
                "expires_at": NOW + dt.timedelta(days=14),
                "link_expires_at": NOW + dt.timedelta(days=60),
                "trigger_event": "deal_won",
                "trigger_record_id": name,
                "due_at": NOW,
                "decision": "ask",
                "deciding_rule": "passed",
                "all_failed_rules": [],
                "decided_as_of": NOW,
            }

    settings = settings_of(home, 1)
    settings.ensure_home()
    _ = settings.link_secret
    with Ledger.open(settings) as ledger:
        evaluation = {"as_of": NOW, "sealed_at": NOW, "definitions_hash": "benchmark"}
        write_round(ledger, evaluation=evaluation, decisions=messages(), messages=messages())


def send(home: Path, port: int, count: int, connections: int = 1) -> dict[str, float]:
    """The sender itself, in this process."""
    from dispatch.sender import send_due

    settings = settings_of(home, port, connections)
    surveys = [survey.model_copy(update={"business_hours": None}) for survey in load_surveys(settings.surveys)]
    with Ledger.open(settings) as ledger:
        began, cpu = time.perf_counter(), time.process_time()
        report = send_due(ledger, settings, surveys, clock=Clock.starting_at(NOW))
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
        balanced = all(book.balanced and book.pending == 0 for book in books(ledger))
    if report.sent != count or not balanced:
        raise SystemExit(f"{report.sent} of {count} were sent")
    return {"seconds": seconds, "cpu": used, "peak_mb": _peak_mb()}


def _peak_mb() -> float:
    """Of this process since it was started: the peak that `getrusage` tells includes the parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def render(home: Path, into: Path, count: int) -> None:
    """The same mails, written one after the other with their lengths, for the bare loop."""
    from dispatch.rendering import render_invitation
    from orchestration.reports import sample_message

    settings = settings_of(home, 1)
    survey = {one.id: one for one in load_surveys(REPO / "surveys")}[SURVEY]
    with into.open("wb") as file:
        for number in range(count):
            key = hashlib.md5(str(number).encode()).hexdigest()
            message = sample_message(survey, f"person{number}@customer{number % 997}.example")
            message |= {"message_id": key, "invitation_id": key}
            message["payload"] |= {"first_name": f"Ada {number}", "contact_name": f"Ada {number} person{number}"}
            parts = render_invitation(message, settings=settings)
            data = parts.as_bytes(date=NOW)
            head = json.dumps([parts.envelope_from, list(parts.recipients), len(data)]).encode()
            file.write(head + b"\n" + data)


def bare(file: Path, port: int) -> dict[str, float]:
    """smtplib, one connection, nothing else."""
    sent = 0
    with file.open("rb") as mails, smtplib.SMTP("127.0.0.1", port) as smtp:
        smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began, cpu = time.perf_counter(), time.process_time()
        while head := mails.readline():
            sender, recipients, size = json.loads(head)
            smtp.sendmail(sender, recipients, mails.read(size))
            sent += 1
        seconds, used = time.perf_counter() - began, time.process_time() - cpu
    return {"seconds": seconds, "cpu": used, "sent": sent}


@contextlib.contextmanager
def sink() -> Iterator[int]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.smtp_sink"], stdout=subprocess.PIPE, text=True, cwd=REPO
    )
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def postfix(folder: Path) -> Iterator[int]:
    """A Postfix of its own: one port on loopback, and everything it takes is discarded after it was queued on disk."""
    if shutil.which("postfix") is None and not Path("/usr/sbin/postfix").exists():
        raise SystemExit("Postfix is not on this machine: install Debian's package postfix, then run this again")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config, queue, data = (folder / name for name in ("config", "queue", "data"))
    for path in (config, queue, data):
        path.mkdir(parents=True)
    for path in (folder, folder.parent):
        os.chmod(path, 0o755)  # Postfix works as a user of its own
    shutil.chown(data, "postfix")
    master = Path("/usr/share/postfix/master.cf.dist").read_text()
    lines = [line for line in master.splitlines() if not line.startswith("smtp      inet")]
    (config / "master.cf").write_text(
        "\n".join([f"127.0.0.1:{port} inet n - n - 20 smtpd", *lines]).replace(" y       -", " n       -")
    )
    (config / "main.cf").write_text(
        f"""compatibility_level = 3.6
queue_directory = {queue}
data_directory = {data}
mail_owner = postfix
myhostname = localhost
mydestination =
inet_interfaces = 127.0.0.1
mynetworks = 127.0.0.0/8
default_transport = discard:
relay_transport = discard:
smtpd_client_connection_rate_limit = 0
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
"""
    )
    run = ["/usr/sbin/postfix", "-c", str(config)]
    subprocess.run([*run, "start"], check=True, capture_output=True)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield port
    finally:
        subprocess.run([*run, "stop"], capture_output=True)


def _child(*arguments: object) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.sender", *map(str, arguments)], cwd=REPO, text=True, capture_output=True
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def measure(
    folder: Path, *, count: int, repeats: int, connections: int = 1, through_postfix: bool = False, say=print
) -> list[dict[str, float]]:
    """Both sides in turn, `repeats` times; each time anew from a copy of the same ledger."""
    plan(folder / "planned", count)
    render(folder / "planned", folder / "mails", count)
    say(f"{count:,} mails of {(folder / 'mails').stat().st_size / count / 1024:.1f} kB planned and rendered")
    found = []
    for turn in range(repeats):
        server = postfix(folder / f"postfix{turn}") if through_postfix else sink()
        with server as port:
            floor = _child("--side", "bare", folder / "mails", port)
            shutil.copytree(folder / "planned", folder / "home")
            ours = _child("--side", "send", folder / "home", port, count, connections)
            shutil.rmtree(folder / "home")
        rates = {"floor": count / floor["seconds"], "sender": count / ours["seconds"]}
        one = {**rates, "ratio": rates["sender"] / rates["floor"], "peak_mb": ours["peak_mb"]}
        one |= {"floor_cpu": floor["cpu"] / floor["seconds"], "sender_cpu": ours["cpu"] / ours["seconds"]}
        say(
            f"floor {one['floor']:,.0f}/s (its CPU {one['floor_cpu']:.0%}), sender {one['sender']:,.0f}/s "
            f"({one['sender_cpu']:.0%}), ratio {one['ratio']:.2f}, peak {one['peak_mb']:.0f} MB"
        )
        found.append(one)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--connections", type=int, default=1, help="of the sender; the bare loop has one")
    parser.add_argument("--postfix", action="store_true")
    parser.add_argument("--side", choices=["send", "bare"], help=argparse.SUPPRESS)
    parser.add_argument("rest", nargs="*", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.side == "send":
        print(json.dumps(send(Path(asked.rest[0]), *map(int, asked.rest[1:]))))
        return
    if asked.side == "bare":
        print(json.dumps(bare(Path(asked.rest[0]), int(asked.rest[1]))))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measure(
            Path(folder),
            count=asked.messages,
            repeats=asked.repeats,
            connections=asked.connections,
            through_postfix=asked.postfix,
            say=lambda text: print(text, flush=True),
        )
    print(f"median ratio {statistics.median(one['ratio'] for one in found):.2f}")


if __name__ == "__main__":
    main()
