"""The vocabulary in which the gates are written: a gate is tables, a table has checks.

Great Expectations calls a check passed that looked at nothing: no rows, or only nulls. So each check here also says what
it counts as evaluated, and one that evaluated nothing fails unless it names the reason why nothing is fine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Check:
    """One expectation about one table.

    `evaluates` and `violations` are SQL over the table (named `this`): an aggregate that counts what the check looks
    at, and a query whose rows are the faults. The latter runs only after a failure, to say how many.
    """

    name: str
    meaning: str
    expectation: str
    arguments: dict[str, Any]
    evaluates: str = "count(*)"
    violations: str | None = None
    none_is_fine: str | None = None
    required: bool = True


@dataclass(frozen=True)
class Suite:
    """The checks of one table. `empty_is_fine` gives the reason why the table may have no rows; without one it may not."""

    table: str
    checks: tuple[Check, ...]
    empty_is_fine: str | None = None

    def __post_init__(self) -> None:
        if len({check.name for check in self.checks}) < len(self.checks):
            raise ValueError(f"two checks of {self.table} have one name: one would hide the other")

    @property
    def name(self) -> str:
        """The table's own name, without database and schema."""
        return self.table.rsplit(".", 1)[-1]


def suite(table: str, *checks: Check, empty_is_fine: str | None = None) -> Suite:
    """A suite that, unless the table may be empty, begins with the demand for rows."""
    first = () if empty_is_fine else (rows(),)
    return Suite(table, (*first, *checks), empty_is_fine)


def rows() -> Check:
    """At least one row."""
    return Check("has_rows", "The table has rows.", "ExpectTableRowCountToBeBetween", {"min_value": 1})


def columns(names: Iterable[str]) -> Check:
    """All of these columns exist; further ones may."""
    wanted = sorted(names)
    return Check(
        "columns",
        "All columns of the contract are there.",
        "ExpectTableColumnsToMatchSet",
        {"column_set": wanted, "exact_match": False},
        none_is_fine="columns can be seen without rows",
    )


def never_null(column: str) -> Check:
    """The column has a value in every row."""
    return Check(
        f"{column.lower().lstrip('_')}_present",
        f"Every row has a value in {column}.",
        "ExpectColumnValuesToNotBeNull",
        {"column": column},
        violations=f'select 1 from this where "{column}" is null',
    )


def unique(*names: str) -> Check:
    """The columns together occur once. Rows with a null among them are looked at by `never_null`."""
    listed = ", ".join(f'"{name}"' for name in names)
    one = len(names) == 1
    return Check(
        "unique_" + "_".join(name.lower().strip("_") for name in names),
        f"No two rows share {', '.join(names)}.",
        "ExpectColumnValuesToBeUnique" if one else "ExpectCompoundColumnsToBeUnique",
        {"column": names[0]} if one else {"column_list": list(names)},
        evaluates=f'count("{names[0]}")',
        violations=f"select 1 from this group by {listed} having count(*) > 1",
    )


def within(column: str, low: float, high: float, *, none_is_fine: str | None = None) -> Check:
    """Values lie from `low` to `high`, both included."""
    return Check(
        f"{column}_in_range",
        f"{column} lies from {low} to {high}.",
        "ExpectColumnValuesToBeBetween",
        {"column": column, "min_value": low, "max_value": high},
        evaluates=f'count("{column}")',
        violations=f'select 1 from this where "{column}" < {low} or "{column}" > {high}',
        none_is_fine=none_is_fine,
    )


def one_of(column: str, values: Iterable[str], *, none_is_fine: str | None = None) -> Check:
    """Values are among these."""
    known = sorted(values)
    listed = ", ".join(f"'{value}'" for value in known)
    return Check(
        f"{column}_known",
        f"{column} is one of the words we know.",
        "ExpectColumnValuesToBeInSet",
        {"column": column, "value_set": known},
        evaluates=f'count("{column}")',
        violations=f'select 1 from this where "{column}" not in ({listed})',
        none_is_fine=none_is_fine,
    )


def rule(
    name: str,
    meaning: str,
    faults: str,
    *,
    evaluates: str = "count(*)",
    none_is_fine: str | None = None,
    required: bool = True,
) -> Check:
    """A rule in SQL: `faults` selects one row (of no personal columns) for each violation; the table is `this`."""
    return Check(
        name,
        meaning,
        "UnexpectedRowsExpectation",
        {"unexpected_rows_query": _only_a_count(faults)},
        evaluates=evaluates,
        violations=faults,
        none_is_fine=none_is_fine,
        required=required,
    )


def _only_a_count(faults: str) -> str:
    """The query as given to Great Expectations, which fetches what it finds: at most one row with one number."""
    return (
        "with this as (select * from {batch})\n"
        f"select violations from (select count(*) as violations from ({faults}) as found) as counted\n"
        "where violations > 0"
    )
