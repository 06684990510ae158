"""The embedded sink: what a 250 promises, whom the envelope named, and a port that is taken."""

from __future__ import annotations

import smtplib
import socket
import subprocess
import sys
import time

import httpx
import pytest

from closedloop.errors import BadInput
from dispatch.mailbox import MailSink
from dispatch.mailbox.store import MailStore

MAIL = b"From: a@x.example\r\nTo: b@x.example\r\nSubject: Hi\r\n\r\nbody\r\n.dot\r\n"


def send(port: int, recipients: list[str], data: bytes = MAIL) -> None:
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("a@x.example", recipients, data)


def test_each_mail_becomes_one_file_with_its_envelope(tmp_path) -> None:
    with MailSink(tmp_path / "mailbox", port=0) as sink:
        send(sink.port, ["b@x.example", "hidden@x.example"])
        [mail] = MailStore(tmp_path / "mailbox").newest()
    assert mail.recipients == "b@x.example, hidden@x.example"
    found = MailStore(tmp_path / "mailbox").read(mail.key)
    assert found is not None
    assert found.text.splitlines() == ["body", ".dot"]
    assert not list((tmp_path / "mailbox" / "tmp").iterdir())


@pytest.mark.parametrize("forged", [b"X-Envelope-To: boss@x.example\r\n", b"x-envelope-to:\r\n boss@x.example\r\n"])
def test_an_envelope_header_from_outside_counts_for_nothing(tmp_path, forged) -> None:
    with MailSink(tmp_path / "mailbox", port=0) as sink:
        send(sink.port, ["b@x.example"], forged + MAIL)
        [mail] = MailStore(tmp_path / "mailbox").newest()
    assert (mail.recipients, mail.subject) == ("b@x.example", "Hi")


def test_strange_mails_are_kept_and_shown(tmp_path) -> None:
    strange = [
        b"",
        b"\r\n",
        b"no header at all",
        b"Subject: =?utf-8?b?broken\r\nFrom: <<>\r\n\r\n\xff\xfe",
        b"Content-Type: text/html; charset=nope\r\n\r\n<p>x",
    ]
    with MailSink(tmp_path / "mailbox", port=0) as sink:
        for data in strange:
            send(sink.port, ["b@x.example"], data)
    store = MailStore(tmp_path / "mailbox")
    assert len(store.newest()) == len(strange)
    for mail in store.newest():
        assert store.read(mail.key) is not None


def test_a_port_in_use_is_named_and_a_free_one_can_be_taken_again(tmp_path) -> None:
    with MailSink(tmp_path / "mailbox", port=0) as sink:
        with pytest.raises(BadInput, match="in use") as caught:
            MailSink(tmp_path / "mailbox", port=sink.port).start()
        assert "CLOSEDLOOP_SMTP_URL" in str(caught.value)
        port = sink.port
    with MailSink(tmp_path / "mailbox", port=port) as again:
        send(again.port, ["b@x.example"])


PROGRAM = """
import sys
from pathlib import Path
from closedloop.settings import Settings
from dispatch.mailbox import serve_mailbox
home, smtp, http = sys.argv[1:]
serve_mailbox(Settings(home=Path(home), smtp_url=f"smtp://127.0.0.1:{smtp}", _env_file=None), int(http))
"""


def test_sink_and_viewer_run_together_and_stop_when_told(settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        smtp, http = one.getsockname()[1], two.getsockname()[1]
    command = [sys.executable, "-c", PROGRAM, str(settings.home), str(smtp), str(http)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert str(http) in process.stdout.readline()
        send(smtp, ["b@x.example"])
        for _ in range(100):
            try:
                page = httpx.get(f"http://127.0.0.1:{http}/")
                break
            except httpx.TransportError:
                time.sleep(0.05)
        assert "b@x.example" in page.text
        process.terminate()
        assert process.wait(timeout=15) == 0
    finally:
        process.kill()
