"""Which failures may pass by themselves and which need a person, for every step of both code locations."""

from __future__ import annotations

import re
import smtplib
import sqlite3
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from dagster import Backoff, Failure, Jitter, MetadataValue, RetryPolicy

from closedloop.errors import BadInput, Busy, ClosedLoopError
from dispatch.smtp import MailServerUnavailable

RETRIES = RetryPolicy(max_retries=3, delay=5, backoff=Backoff.EXPONENTIAL, jitter=Jitter.PLUS_MINUS)
"""After about 5, 15 and 35 seconds; only for what `is_transient` names, since all else is raised as final."""

_TRANSIENT = (
    Busy,
    MailServerUnavailable,
    ConnectionError,
    TimeoutError,
    smtplib.SMTPServerDisconnected,
    smtplib.SMTPConnectError,
)
_TRANSIENT_WORDS = ("database is locked", "could not set lock on file", "conflicting lock", "connection refused")
_ADDRESS = re.compile(r"[^\s<>'\"@]+@[^\s<>'\"@]+")
_QUOTED = re.compile(r"'[^'\n]*'")


def is_transient(error: BaseException) -> bool:
    """Whether the same step may succeed when it is simply done again a little later."""
    if isinstance(error, _TRANSIENT):
        return True
    if isinstance(error, ClosedLoopError):
        return False
    if isinstance(error, sqlite3.OperationalError) or type(error).__name__ in {"OperationalError", "IOException"}:
        return any(word in str(error).lower() for word in _TRANSIENT_WORDS)
    return False


def describe(error: BaseException) -> str:
    """What went wrong, fit for a log: no address, and of databases' messages no quoted value."""
    if isinstance(error, ClosedLoopError):
        return _ADDRESS.sub("<address>", str(error))
    text = str(getattr(error, "orig", None) or error)  # SQLAlchemy's own text holds the statement's values
    if type(error).__module__.split(".")[0] in {"duckdb", "_duckdb", "sqlalchemy", "sqlite3", "psycopg2", "pyarrow"}:
        text = _QUOTED.sub("'…'", text)
    return f"{type(error).__name__}: {_ADDRESS.sub('<address>', text)}"


@contextmanager
def failures_told_apart() -> Iterator[None]:
    """Around a step: what is transient is raised as it is, for RETRIES; all else ends the run at once, with a remedy."""
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        if is_transient(error):
            raise
        raise final(error) from None


def final(error: Exception) -> Failure:
    """A failure that is not tried again; shows where it happened, and no person's data."""
    frames = traceback.extract_tb(error.__traceback__)
    metadata = {"kind": MetadataValue.text(type(error).__name__)}
    if isinstance(error, BadInput):
        for name in ("file", "line", "field", "remedy"):
            if (value := getattr(error, name)) is not None:
                metadata[name] = MetadataValue.text(str(value))
    elif not isinstance(error, ClosedLoopError):
        where = "\n".join(f"{frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
        metadata["where"] = MetadataValue.md(f"```\n{where}\n```")
    return Failure(description=describe(error), metadata=metadata, allow_retries=False)
