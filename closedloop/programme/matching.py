"""Whether a filter lets a record in, for follow-ups: who may be asked is decided by the models, in SQL."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from closedloop.programme.filters import Clauses, Condition

Facts = Mapping[str, Mapping[str, Any]]
"""The fields of `contact` and `account` by name; what is not there is empty."""


def matches(clauses: Clauses, facts: Facts) -> bool:
    """Whether all conditions of any clause hold; no clause at all lets everyone in.

    A comparison with an empty field is false, and its negation true, as in the models.
    """
    return not clauses or any(all(_holds(condition, facts) for condition in clause) for clause in clauses)


def _holds(condition: Condition, facts: Facts) -> bool:
    value = (facts.get(condition.subject) or {}).get(condition.field)
    return _compares(condition, _text(value)) != condition.negated


def _compares(condition: Condition, value: str) -> bool:
    if condition.operator == "empty":
        return not value
    if not value:
        return False
    if condition.kind != "number":
        given = value.lower() if condition.kind == "boolean" else value
        return any(_in_order(given, condition.operator, one) for one in condition.values)
    try:
        number = Decimal(value)
    except InvalidOperation:
        return False
    return any(_in_order(number, condition.operator, Decimal(one)) for one in condition.values)


def _in_order(a: Any, operator: str, b: Any) -> bool:
    return {"=": a == b, "<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[operator]


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.date().isoformat()
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip()
