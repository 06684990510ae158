"""DKIM: our mail says which domain answers for it, so that receivers can tell it from a forged one (RFC 6376)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from closedloop.errors import BadInput
from closedloop.settings import Settings

Sign = Callable[[bytes], bytes]

SIGNED = (
    *(b"from", b"to", b"cc", b"subject", b"date", b"message-id", b"sender", b"reply-to", b"mime-version"),
    *(b"content-type", b"auto-submitted", b"list-id", b"list-unsubscribe", b"list-unsubscribe-post"),
)
"""RFC 8058 wants the last two signed, or one-click unsubscribing is not offered."""
_REWRITTEN = {"ses": (b"date", b"message-id")}
"""Headers that a provider replaces on the way, which would break the signature."""


def signer(settings: Settings) -> Sign:
    """What signs a finished mail (CRLF line ends) by the settings; without them, mails stay as they are.

    Raises BadInput, naming the file, for a key that cannot be used: once at the start, not for each mail.
    """
    if settings.dkim_key_file is None:
        return lambda mail: mail
    import dkim

    key = _read_key(settings.dkim_key_file)
    left_out = _REWRITTEN.get(settings.mail_provider, ())
    names = [name for name in SIGNED if name not in left_out]

    def sign(mail: bytes) -> bytes:
        present = [name for name in names if b"\n" + name + b":" in b"\n" + mail.partition(b"\r\n\r\n")[0].lower()]
        header = dkim.sign(
            mail,
            settings.dkim_selector.encode(),
            settings.dkim_domain.encode(),
            key,
            canonicalize=(b"relaxed", b"relaxed"),
            include_headers=present,
        )
        return header + mail

    return sign


def _read_key(file: Path) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

    remedy = "give a PEM file with an RSA key of 1024 bits or more and without a password (CLOSEDLOOP_DKIM_KEY_FILE)"
    try:
        key = load_pem_private_key(file.read_bytes(), password=None)
    except OSError as error:
        raise BadInput(f"the key that signs mail cannot be read ({error.strerror})", file=file, remedy=remedy) from None
    except (ValueError, TypeError):
        raise BadInput("the key that signs mail cannot be used", file=file, remedy=remedy) from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < 1024:
        raise BadInput("the key that signs mail cannot be used", file=file, remedy=remedy)
    return key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
