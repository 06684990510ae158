"""Mail arrives with a signature that holds, and a key that cannot be used stops the sender before the first mail."""

from __future__ import annotations

import base64
from pathlib import Path

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from ledger_world import candidate, plan, survey
from mail_server import MailServer

from closedloop.errors import BadInput
from closedloop.settings import Settings
from dispatch.notice import send_notice
from dispatch.sender import send_due
from dispatch.signing import signer


def _pem(key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.fixture
def signed(settings: Settings, tmp_path: Path):
    key = rsa.generate_private_key(65537, 2048)
    file = tmp_path / "dkim.pem"
    file.write_bytes(_pem(key))
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    record = b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)
    names = []

    def dns(name: bytes, timeout: int = 5) -> bytes:
        names.append(name)
        return record

    update = {"dkim_domain": "closedloop.example", "dkim_selector": "s1", "dkim_key_file": file}
    return settings.model_copy(update=update), dns, names


def test_surveys_and_notices_arrive_signed(ledger, server: MailServer, clock, signed) -> None:
    settings, dns, names = signed
    plan(ledger, [candidate("ann")])
    assert send_due(ledger, settings, [survey()], clock=clock).sent == 1
    send_notice(settings, "It failed", "Look at it.\n\n.. and again\n", now=clock.now())
    mails = list(server.messages.values())
    assert len(mails) == 2
    for mail in mails:
        assert dkim.verify(mail, dnsfunc=dns)
        assert not dkim.verify(mail.replace(b"Subject: ", b"Subject: Not "), dnsfunc=dns)
    assert set(names) == {b"s1._domainkey.closedloop.example."}
    head = mails[0].partition(b"\r\n\r\n")[0].lower()
    named = head.partition(b" h=")[2].partition(b";")[0].replace(b"\r\n", b"").replace(b" ", b"").split(b":")
    assert {b"from", b"subject", b"list-unsubscribe", b"list-unsubscribe-post"} <= set(named)


@pytest.mark.parametrize("content", [None, b"no key", "ed25519", "small"])
def test_a_key_that_cannot_be_used_names_its_file(settings: Settings, tmp_path: Path, content) -> None:
    file = tmp_path / "dkim.pem"
    if isinstance(content, bytes):
        file.write_bytes(content)
    elif content == "ed25519":
        file.write_bytes(_pem(ed25519.Ed25519PrivateKey.generate()))
    elif content == "small":
        file.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    bad = {"dkim_domain": "closedloop.example", "dkim_selector": "s1", "dkim_key_file": file}
    with pytest.raises(BadInput, match="key that signs mail") as caught:
        signer(settings.model_copy(update=bad))
    assert str(file) in str(caught.value)


def test_without_a_key_mails_stay_as_they_are(settings: Settings) -> None:
    assert signer(settings)(b"Subject: x\r\n\r\nbody\r\n") == b"Subject: x\r\n\r\nbody\r\n"
