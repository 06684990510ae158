"""Tables for people, who open them in a spreadsheet: what somebody wrote must not become a formula there."""

from __future__ import annotations

_STARTS = ("=", "+", "-", "@", "\t", "\r")


def cell(value: object) -> str:
    """A value as text that no spreadsheet takes for a formula: one that could be begins with an apostrophe (OWASP)."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_STARTS) else text
