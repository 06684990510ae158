"""Whether a filter lets a record in, for follow-ups: who may be asked is decided by the models, in SQL."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from closedloop.programme.filters import FIELDS, Clauses, Condition

Facts = Mapping[str, Mapping[str, Any]]
"""The fields of `contact` and `account` by name, those of the CRM in lower case; what is not there is empty."""


def matches(clauses: Clauses, facts: Facts) -> bool:
    """Whether all conditions of any clause hold; no clause at all lets everyone in.

    A comparison with an empty field is false, and its negation true; a field of the CRM that nobody knows holds for nobody,
    turned round or not: both as in the models.
    """
    return not clauses or any(all(_holds(condition, facts) for condition in clause) for clause in clauses)


def _holds(condition: Condition, facts: Facts) -> bool:
    known = facts.get(condition.subject) or {}
    name = condition.field if condition.field in FIELDS[condition.subject] else condition.field.lower()
    if name not in FIELDS[condition.subject] and name not in known:
        return False
    value = known.get(name)
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
