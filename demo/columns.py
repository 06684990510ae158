"""Numbers into the text of a Salesforce export, a whole column at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

HOUR = 3600
DAY = 86_400
NEVER = np.iinfo(np.int64).max // 4
"""A time (epoch seconds) that is not reached; far enough from overflow to add to."""

# Salesforce's own key prefixes; custom objects begin with 'a'.
PREFIXES = {
    "Account": "001", "Contact": "003", "User": "005", "Opportunity": "006", "OpportunityContactRole": "00K",
    "Project__c": "a01", "Order": "801", "OrderItem": "802", "Contract": "800", "Task": "00T", "Case": "500",
    "Product2": "01t", "Asset": "02i", "Lead": "00Q", "SignUp__c": "a02", "Adoption__c": "a03",
}  # fmt: skip


def record_ids(object_name: str, numbers: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    """Ids of 18 characters; a negative number, or one marked `missing`, refers to nothing."""
    digits = pc.utf8_lpad(pc.cast(pa.array(np.maximum(numbers, 0) + 1), pa.string()), 13, "0")
    ids = pc.binary_join_element_wise(f"{PREFIXES[object_name]}NW", digits, "")
    absent = numbers < 0 if missing is None else (numbers < 0) | missing
    return _without(ids, absent) if absent.any() else ids


def record_id(object_name: str, number: int) -> str:
    """One id, as `record_ids` makes it."""
    return f"{PREFIXES[object_name]}NW{number + 1:013d}"


def labels(words: Sequence[str], codes: np.ndarray) -> pa.Array:
    """words[code] for each code; a negative code is empty."""
    return pc.take(pa.array(words, pa.string()), pa.array(codes, mask=codes < 0))


def times(seconds: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    """Epoch seconds as Salesforce writes a moment: 2026-03-02T09:00:00.000Z (UTC)."""
    absent = seconds >= NEVER if missing is None else (seconds >= NEVER) | missing
    stamps = pa.array(np.where(absent, 0, seconds)).cast(pa.timestamp("s"))
    return _without(pc.strftime(stamps, format="%Y-%m-%dT%H:%M:%S.000Z"), absent)


def dates(seconds: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    """The UTC date of epoch seconds: 2026-03-02."""
    absent = seconds >= NEVER if missing is None else (seconds >= NEVER) | missing
    stamps = pa.array(np.where(absent, 0, seconds)).cast(pa.timestamp("s"))
    return _without(pc.strftime(stamps, format="%Y-%m-%d"), absent)


def flags(values: np.ndarray) -> pa.Array:
    return pc.if_else(pa.array(values), "true", "false")


def whole(values: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    text = pc.cast(pa.array(np.asarray(values, np.int64)), pa.string())
    return text if missing is None else _without(text, missing)


def money(values: np.ndarray, missing: np.ndarray | None = None) -> pa.Array:
    """Two decimals, always: 1200.00."""
    cents = np.rint(np.asarray(values, float) * 100).astype(np.int64)
    tail = pc.utf8_lpad(pc.cast(pa.array(np.abs(cents) % 100), pa.string()), 2, "0")
    sign = pc.if_else(pa.array(cents < 0), "-", "")
    head = pc.binary_join_element_wise(sign, pc.cast(pa.array(np.abs(cents) // 100), pa.string()), "")
    text = pc.binary_join_element_wise(head, tail, ".")
    return text if missing is None else _without(text, missing)


def join(*parts: pa.Array | str) -> pa.Array:
    """Parts side by side, without anything between."""
    return pc.binary_join_element_wise(*parts, "")


def _without(values: pa.Array, absent: np.ndarray) -> pa.Array:
    return pc.if_else(pa.array(absent), pa.scalar(None, pa.string()), values)
