"""The course of a follow-up as a state machine, and what the dashboard makes of it.

    open ─► acknowledged ─► investigating ─► resolving ─► reported_back ─► closed
                                 ▲───────────────┴─────────────┘            │
                                 └──────────────── reopened ◄───────────────┘

Steps may be left out on the way forward, and who reports back may have to investigate again. Nothing but the first contact
leads out of `open`, unless the customer could not be reached at all.
"""

from __future__ import annotations

from collections.abc import Mapping

from closedloop.errors import BadInput

OPEN, ACKNOWLEDGED, INVESTIGATING = "open", "acknowledged", "investigating"
RESOLVING, REPORTED_BACK, CLOSED = "resolving", "reported_back", "closed"
STEPS = (OPEN, ACKNOWLEDGED, INVESTIGATING, RESOLVING, REPORTED_BACK, CLOSED)

RESOLVED, PARTIALLY_RESOLVED, UNRESOLVABLE, NO_RESPONSE = (
    "resolved",
    "partially_resolved",
    "unresolvable",
    "no_response",
)
OUTCOMES = (RESOLVED, PARTIALLY_RESOLVED, UNRESOLVABLE, NO_RESPONSE)

MOVES: Mapping[str, frozenset[str]] = {
    OPEN: frozenset({ACKNOWLEDGED, CLOSED}),
    ACKNOWLEDGED: frozenset({INVESTIGATING, RESOLVING, REPORTED_BACK, CLOSED}),
    INVESTIGATING: frozenset({RESOLVING, REPORTED_BACK, CLOSED}),
    RESOLVING: frozenset({INVESTIGATING, REPORTED_BACK, CLOSED}),
    REPORTED_BACK: frozenset({INVESTIGATING, RESOLVING, CLOSED}),
    CLOSED: frozenset({INVESTIGATING, OPEN}),
}
"""Where each step may lead. What is reopened is investigated, or open again where there never was a contact."""

IN_WORDS: Mapping[str, str] = {
    OPEN: "Not contacted yet",
    ACKNOWLEDGED: "Acknowledged",
    INVESTIGATING: "Investigating",
    RESOLVING: "Resolving",
    REPORTED_BACK: "Reported back",
    CLOSED: "Closed",
    RESOLVED: "Resolved",
    PARTIALLY_RESOLVED: "Partially resolved",
    UNRESOLVABLE: "Unresolvable",
    NO_RESPONSE: "No response from customer",
}


def check_move(step: str, to: str, outcome: str | None = None) -> None:
    """Raises BadInput for a move that the state machine does not have; `outcome` is that with which it closes."""
    if to not in STEPS:
        raise BadInput(f"no such step: '{to}'", field="step", remedy=f"use one of {', '.join(STEPS[1:-1])}")
    if to == CLOSED and outcome not in OUTCOMES:
        raise BadInput(f"no such outcome: '{outcome}'", field="outcome", remedy=f"use one of {', '.join(OUTCOMES)}")
    if to not in MOVES[step]:
        if step == OPEN:
            raise BadInput(
                f"'{IN_WORDS[to].lower()}' needs a first contact", field="step", remedy="record the first contact first"
            )
        if step == CLOSED:
            raise BadInput("this follow-up is closed", field="step", remedy="reopen it first")
        raise BadInput(
            f"a follow-up cannot go from '{step}' to '{to}'",
            field="step",
            remedy=f"it may go to {', '.join(name for name in STEPS if name in MOVES[step])}",
        )
    if step == OPEN and to == CLOSED and outcome != NO_RESPONSE:
        raise BadInput(
            f"'{outcome}' needs a first contact",
            field="outcome",
            remedy="record the first contact first, or use no_response when the customer could not be reached",
        )


def resolution_of(step: str, outcome: str | None) -> str:
    """The dashboard's three: `resolved` (wholly or in part), `in_progress` (contacted, not closed), `unresolved`."""
    if step == CLOSED:
        return "resolved" if outcome in (RESOLVED, PARTIALLY_RESOLVED) else "unresolved"
    return "unresolved" if step == OPEN else "in_progress"
