"""Who is the same person: normalised addresses, and keys that can stay after a person is erased."""

from __future__ import annotations

import hashlib


def normalise_address(email: str) -> str:
    """The address as compared between records: trimmed, lower case. (The mail goes to the address as written.)"""
    return email.strip().lower()


def person_key(email: str) -> str:
    """SHA-256 hex of the normalised address; the dbt macro `person_key` computes the same."""
    return hashlib.sha256(normalise_address(email).encode()).hexdigest()


def candidate_id(survey_id: str, contact_id: str, trigger_event: str, trigger_record_id: str) -> str:
    """MD5 hex over the four parts joined by '|'; also the id of the invitation that an `ask` makes."""
    return hashlib.md5("|".join((survey_id, contact_id, trigger_event, trigger_record_id)).encode()).hexdigest()
