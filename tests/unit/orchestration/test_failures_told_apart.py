"""What passes by itself is tried again; what needs a person ends the run at once, and no log holds a value."""

from __future__ import annotations

import smtplib
import sqlite3

import duckdb
import pytest
import sqlalchemy
from dagster import Failure

from closedloop.errors import BadInput, Busy, ClosedLoopError, Refused
from dispatch.smtp import MailServerUnavailable
from orchestration.common.failures import RETRIES, describe, failures_told_apart, is_transient


@pytest.mark.parametrize(
    "error",
    [
        Busy("another build is at work"),
        MailServerUnavailable("nobody answers"),
        ConnectionRefusedError(111, "refused"),
        TimeoutError("no answer"),
        smtplib.SMTPServerDisconnected("gone"),
        sqlite3.OperationalError("database is locked"),
        duckdb.IOException("Could not set lock on file 'warehouse.duckdb'"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_transient_failures_are_raised_for_the_retry_policy(error: Exception) -> None:
    assert is_transient(error)
    with pytest.raises(type(error)), failures_told_apart():
        raise error
    assert RETRIES.max_retries == 3


@pytest.mark.parametrize(
    "error",
    [
        BadInput("no such folder", file="exports", remedy="make it"),
        Refused("a check failed"),
        ClosedLoopError("dbt did not run"),
        KeyError("score"),
        sqlite3.OperationalError("no such table: messages"),
        duckdb.IOException("disk full"),
        FileNotFoundError(2, "gone"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_all_else_is_final(error: Exception) -> None:
    assert not is_transient(error)
    with pytest.raises(Failure) as caught, failures_told_apart():
        raise error
    assert caught.value.allow_retries is False


def test_a_bad_input_says_where_and_what_to_do() -> None:
    with pytest.raises(Failure) as caught, failures_told_apart():
        raise BadInput("no such column", file="Account.csv", line=1, field="Name", remedy="rename it")
    assert caught.value.description.startswith("Account.csv:1 [Name]: no such column")
    shown = {name: value.value for name, value in caught.value.metadata.items()}
    assert shown == {"kind": "BadInput", "file": "Account.csv", "line": "1", "field": "Name", "remedy": "rename it"}


def test_no_value_of_a_person_reaches_the_log() -> None:
    statement = sqlalchemy.exc.IntegrityError(
        "insert into answers values (?)", ("ada@customer.example",), Exception("UNIQUE failed for 'Ada Lovelace'")
    )
    conversion = duckdb.ConversionException("Could not convert string 'Ada Lovelace' to INT64")
    ours = ClosedLoopError("cannot be sent to ada@customer.example")
    for error in (statement, conversion, ours):
        text = describe(error)
        assert "ada@customer.example" not in text
        assert "Lovelace" not in text
    with pytest.raises(Failure) as caught, failures_told_apart():
        raise statement
    assert caught.value.__cause__ is None
    assert "ada@" not in str(caught.value.metadata)
