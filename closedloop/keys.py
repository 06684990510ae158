"""The keys that sign links: one text, the newest key first, older ones after it. The first signs, all open links.

It is kept in the home's `secret.key` (mode 0600), one key a line, unless CLOSEDLOOP_SECRET_KEY holds it. Changing it never
kills an open link; dropping a key kills those that it signed, which is what one wants of a key that others have seen.
"""

from __future__ import annotations

import os
import secrets
from contextlib import AbstractContextManager
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from closedloop.errors import BadInput
from closedloop.locks import only_one

SHORTEST_KEY = 16
"""Characters that a key of the settings must have; our own have 64."""


def keys_of(text: str) -> list[str]:
    """The single keys, the one that signs first."""
    return text.split()


def fingerprint(key: str) -> str:
    """What names a key without telling it."""
    return sha256(b"closedloop key " + key.encode()).hexdigest()[:12]


def new_key() -> str:
    return secrets.token_urlsafe(48)


def read_keys(path: Path) -> str:
    """The text of the file, made with a first key where there is none; read again only when the file has changed, so that a
    running collector knows a new key at once. Raises BadInput when it is empty.
    """
    try:
        state = os.stat(path)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, new_key(), is_first=True)
        state = os.stat(path)
    return _read(path, state.st_ino, state.st_mtime_ns)


@lru_cache(maxsize=8)
def _read(path: Path, inode: int, modified: int) -> str:
    if not (text := path.read_text().strip()):
        raise BadInput("the key that signs links is empty", file=path, remedy="restore it from a backup, or remove it")
    return text


def rotate(path: Path) -> str:
    """Put a new key before the others; returns its fingerprint. Raises Busy."""
    key = new_key()
    with _changing(path):
        _write(path, "\n".join([key, *keys_of(read_keys(path))]))
    return fingerprint(key)


def drop(path: Path, which: str) -> None:
    """Remove an older key by its fingerprint: links that it signed are wrong from now on. Raises BadInput, Busy."""
    with _changing(path):
        first, *older = keys_of(read_keys(path))
        if which == fingerprint(first):
            remedy = "put a new one before it: closedloop keys rotate"
            raise BadInput("this key signs links now", field=which, remedy=remedy)
        if which not in map(fingerprint, older):
            raise BadInput("there is no such key", field=which, remedy="`closedloop keys list` shows them")
        _write(path, "\n".join([first, *(key for key in older if fingerprint(key) != which)]))


def _changing(path: Path) -> AbstractContextManager[None]:
    return only_one(path.with_suffix(".lock"), busy="the keys are being changed by another process")


def _write(path: Path, text: str, *, is_first: bool = False) -> None:
    draft = path.with_suffix(f".{secrets.token_hex(8)}")  # threads and processes may start together
    draft.touch(mode=0o600)
    with draft.open("w") as handle:
        handle.write(text + "\n")
        handle.flush()
        os.fsync(handle.fileno())  # an empty key after a power failure would sign links that anyone can make
    if not is_first:
        draft.replace(path)
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)  # links that a key signs are of no use when the key is gone after a power failure
        os.close(folder)
        return
    try:
        os.link(draft, path)  # atomic: of two processes starting together, one key wins
    except FileExistsError:
        pass
    finally:
        draft.unlink()
