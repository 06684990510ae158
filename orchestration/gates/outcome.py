"""What a gate says about a build: one outcome for each check."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class CheckOutcome:
    """One check of one build.

    `details` holds counts only (rows, evaluated, violations, exceptions), never a value of a person: it is recorded in
    the ledger and shown in the UI. A check that is not `required` warns and never stops a build.
    """

    name: str
    gate: str
    required: bool
    passed: bool
    details: dict[str, int] = field(default_factory=dict)
