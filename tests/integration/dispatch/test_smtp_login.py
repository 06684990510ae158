"""User, password and encryption as CLOSEDLOOP_SMTP_URL names them, against aiosmtpd."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from dispatch.smtp import MailServerUnavailable, SmtpSession


class _Inbox:
    def __init__(self) -> None:
        self.seen: list[tuple[bool, bytes]] = []

    async def handle_DATA(self, server, session, envelope) -> str:
        self.seen.append((session.ssl is not None, envelope.content))
        return "250 ok"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    if not (openssl := shutil.which("openssl")):
        pytest.skip("openssl is not on this machine")
    folder: Path = tmp_path_factory.mktemp("certificate")
    key, chain = folder / "key.pem", folder / "chain.pem"
    request = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([openssl, *request, "-keyout", key, "-out", chain], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, key)
    return context


@pytest.fixture
def inbox() -> _Inbox:
    return _Inbox()


@pytest.fixture(params=["starttls", "smtps"])
def url(request: pytest.FixtureRequest, inbox: _Inbox, certificate: ssl.SSLContext) -> Iterator[str]:
    """Address of a server that wants user 'us@x' and password 'p:w'; {password} is left open."""

    def authenticate(server, session, envelope, mechanism, data) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"us@x", b"p:w"), handled=False)

    at_once = request.param == "smtps"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    controller = Controller(
        inbox,
        hostname="127.0.0.1",
        port=port,
        tls_context=None if at_once else certificate,
        ssl_context=certificate if at_once else None,
        require_starttls=not at_once,
        auth_required=True,
        auth_require_tls=not at_once,
        authenticator=authenticate,
    )
    controller.start()
    yield f"{'smtps' if at_once else 'smtp'}://us%40x:{{password}}@127.0.0.1:{port}"
    controller.stop()


def test_a_mail_goes_encrypted_and_logged_in(url: str, inbox: _Inbox):
    session = SmtpSession(url.format(password="p%3Aw"), timeout=5)
    assert session.deliver("from@x.example", ["to@x.example"], b"Subject: hello\r\n\r\nhello\r\n").state == "sent"
    session.close()
    assert inbox.seen == [(True, b"Subject: hello\r\n\r\nhello\r\n")] or url.startswith("smtps")
    assert len(inbox.seen) == 1


def test_a_wrong_password_is_a_clear_error_that_does_not_show_it(url: str, inbox: _Inbox):
    session = SmtpSession(url.format(password="guessed"), timeout=5)
    with pytest.raises(MailServerUnavailable, match="535") as caught:
        session.deliver("from@x.example", ["to@x.example"], b"hello\r\n")
    assert "guessed" not in str(caught.value)
    assert inbox.seen == []
