"""Tables for people, who open them in a spreadsheet: what somebody wrote must not become a formula there.

A text that could be one begins with an apostrophe (OWASP, CSV injection); plain numbers stay as they are. The patterns are
read by Python and DuckDB alike.
"""

from __future__ import annotations

import re

FORMULA = r"^([\t\r\n]|\s*[=+@" + "\uff1d\uff0b\uff0d\uff20" + "-])"
"""What spreadsheets take for the beginning of a formula, full-width signs included."""
NUMBER = r"^[+-]?[0-9]+([.,][0-9]+)?([eE][+-]?[0-9]+)?$"


def cell(value: object) -> str:
    """A value as text that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if re.search(FORMULA, text) and not re.search(NUMBER, text) else text
