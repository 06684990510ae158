"""Errors that people read: each names what is wrong, where, and what to do about it."""

from __future__ import annotations

from pathlib import Path


class ClosedLoopError(Exception):
    """Something failed for a reason we understand; the command exits with `exit_code`."""

    exit_code = 1


class BadInput(ClosedLoopError):
    """The input or a setting is wrong and the person at the keyboard can mend it (exit code 2).

    `where` and `field` locate the fault, `remedy` says what to do. Never put personal data in any of them.
    """

    exit_code = 2

    def __init__(
        self,
        problem: str,
        *,
        file: str | Path | None = None,
        line: int | None = None,
        field: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem, self.file, self.line, self.field, self.remedy = problem, file, line, field, remedy
        where = str(file) if file is not None else ""
        if line is not None:
            where += f":{line}" if where else f"line {line}"
        if field is not None:
            where += f" [{field}]" if where else f"[{field}]"
        text = f"{where}: {problem}" if where else problem
        super().__init__(f"{text}\n  what to do: {remedy}" if remedy else text)


class Refused(ClosedLoopError):
    """A promise of the platform forbids this step now (an unchecked build, a lost race, a second sender)."""


class Busy(Refused):
    """Another process holds the lock; try again when it is done."""


class CrmAway(ClosedLoopError):
    """The CRM cannot be used now: it is away, busy, or a limit is reached. Trying again later helps; `is_limit` says which."""

    def __init__(self, crm: str, reason: str, *, is_limit: bool = False) -> None:
        super().__init__(
            f"{crm} cannot be used now ({reason})\n  what to do: try again later; what was done stays done"
        )
        self.reason, self.is_limit = reason, is_limit
