"""Which field of the CRM holds what of ours: a typed YAML file, no code. `docs/write-back.md` explains it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from closedloop.programme.steps import OUTCOMES
from closedloop.yamlfile import Fault, load_yaml

VALUES: dict[str, tuple[str, ...]] = {
    "answer": (
        *("id", "contact_id", "account_id", "survey_id", "survey_name", "survey_type", "score", "category", "comment"),
        *(
            "channel",
            "answered_at",
            "submitted_at",
            "trigger_event",
            "trigger_record_id",
            "owner_id",
            "answers",
            "version",
        ),
    ),
    "contact": (
        *("contact_id", "last_score", "last_category", "last_answered_at", "is_advocate", "advocate_since"),
        "opted_out",
    ),
    "account": ("account_id", "last_score", "last_category", "last_answered_at", "health_change"),
    "cause": ("record_id", "score", "category", "answered_at"),
    "task": (
        *(
            "id",
            "contact_id",
            "account_id",
            "subject",
            "priority",
            "assignee_id",
            "due_on",
            "due_at",
            "comment",
            "score",
        ),
        "survey_name",
    ),
    "case": ("id", "contact_id", "account_id", "subject", "priority", "comment", "score", "survey_name"),
    "reopened_case": ("record_id", "comment", "score"),
    "timeline": (
        *(
            "id",
            "contact_id",
            "account_id",
            "subject",
            "colour",
            "comment",
            "score",
            "category",
            "answered_on",
            "answered_at",
        ),
        "survey_name",
    ),
    "notification": ("id", "recipient_id", "subject", "comment", "account_id", "contact_id"),
}
"""What of ours each kind of record may be filled from."""

Kind = Literal[tuple(VALUES)]  # type: ignore[valid-type]


def _short(value: object) -> object:
    """`Score__c: score` is short for `Score__c: {from: score}`."""
    return {"from": value} if isinstance(value, str) else value


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class OutField(_Part):
    """One field of the CRM: from a value of ours, perhaps in other words, or always the same."""

    source: str | None = Field(default=None, alias="from")
    values: dict[str, str] = {}
    value: str | None = None
    longest: int | None = Field(default=None, ge=1, description="longer texts are cut")

    @model_validator(mode="after")
    def _one_origin(self) -> OutField:
        if (self.source is None) == (self.value is None):
            raise ValueError("give either `from`, a value of ours, or `value`, which is always the same")
        return self

    def of(self, values: Mapping[str, Any]) -> Any:
        """The value for the CRM; '' where there is none."""
        if self.value is not None:
            return self.value
        found = values.get(self.source or "")
        found = "" if found is None else self.values.get(str(found), found)
        return found[: self.longest] if self.longest and isinstance(found, str) else found


class OutRecord(_Part):
    """One kind of record: the CRM's object, the field that names a record, and what its fields hold."""

    object: str = Field(min_length=1)
    key: str = Field(min_length=1, description="an external id field, or Id for records that are there")
    fields: dict[str, Annotated[OutField, BeforeValidator(_short)]]


class TaskOutcome(_Part):
    """How a follow-up ended, as somebody records it on its task in the CRM."""

    field: str = Field(min_length=1, description="a custom field of the task, as it is called where tasks are read")
    values: dict[str, Literal[OUTCOMES]] = Field(min_length=1, description="what stands there: the outcome")  # type: ignore[valid-type]


class WriteBack(_Part):
    """The whole mapping. A kind that is left out is not written."""

    name: str
    answer: OutRecord | None = None
    contact: OutRecord | None = None
    account: OutRecord | None = None
    cause: dict[str, OutRecord] = Field(default={}, description="by the event that made the survey due")
    task: OutRecord | None = None
    task_outcome: TaskOutcome | None = None
    case: OutRecord | None = None
    reopened_case: OutRecord | None = None
    timeline: OutRecord | None = None
    notification: OutRecord | None = None

    @model_validator(mode="after")
    def _known_values(self) -> WriteBack:
        for kind, known in VALUES.items():
            part = getattr(self, kind)
            for record in part.values() if isinstance(part, dict) else [part] if part else []:
                for name, field in record.fields.items():
                    if field.source is not None and field.source not in known:
                        raise Fault(
                            f"{name} is filled from '{field.source}', which a record of this kind does not have",
                            kind,
                            remedy=f"use one of {', '.join(known)}",
                        )
        return self


def load_write_back(path: Path) -> WriteBack:
    """The mapping in `path`. Raises BadInput naming file, line, field and remedy."""
    return load_yaml(path, WriteBack, what="a mapping for the CRM", manual="docs/write-back.md")
