"""How the columns of somebody's export become our CRM objects: a typed YAML file, no code. docs/own-crm.md explains it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from closedloop.errors import BadInput
from closedloop.lake.catalogue import CRM_OBJECTS, CRM_TIMES
from closedloop.yamlfile import line_of, load_yaml
from ingestion.sources.sqltext import ISO

MANUAL = "docs/own-crm.md"
FILTERS = ("lower", "upper", "slug")
PLACEHOLDER = re.compile(r"\{([^{}|]+)((?:\|[a-z]+)*)\}")


def _as_text(value: object) -> object:
    """YAML reads `true` and `17` as a boolean and a number; a mapping means the words."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Word = Annotated[str, BeforeValidator(_as_text)]
ObjectName = Literal[tuple(CRM_OBJECTS)]  # type: ignore[valid-type]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Lookup(_Part):
    """The value of `take` in the row of another object whose columns equal ours: `match: {theirs: ours}`.

    Of several rows the one with the greatest `newest_by` (or least `oldest_by`) counts, then the greatest Id.
    `only` keeps their rows with these values.
    """

    object: ObjectName
    match: dict[str, str] = Field(min_length=1)
    take: str
    newest_by: str = "Id"
    oldest_by: str | None = None
    only: dict[str, Word] = {}


class FieldMap(_Part):
    """Where one column comes from, and what is done to it, in the order of the fields here."""

    column: tuple[str, ...] = Field(default=(), description="of several, the first that is not empty")
    value: Word | None = Field(default=None, description="the same for every row; '' leaves the column empty")
    template: str | None = Field(default=None, description="'{name|slug}@acme.example'; filters: lower, upper, slug")
    lookup: Lookup | None = None
    values: dict[Word, Word] = Field(default={}, description="what stands there: what is meant")
    unmatched: Literal["keep", "empty", "quarantine"] = Field(default="keep", description="a value not in `values`")
    default: Word | None = Field(default=None, description="for empty ones")
    kind: Literal["text", "date", "datetime"] | None = Field(default=None, description="known for canonical columns")
    dates: tuple[str, ...] = Field(default=(), description="formats tried in order: 'iso' or such as '%m/%d/%Y'")
    required: bool = Field(default=False, description="a row where it is empty goes to quarantine")
    references: ObjectName | None = Field(default=None, description="the object whose Id this is")
    orphans: Literal["keep", "quarantine"] = Field(default="keep", description="a row that refers to nothing")

    @field_validator("column", mode="before")
    @classmethod
    def _one_or_more(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_origin(self) -> FieldMap:
        origins = [bool(self.column), self.value is not None, self.template is not None, self.lookup is not None]
        if sum(origins) != 1:
            raise ValueError("needs exactly one of column, value, template and lookup")
        return self

    @field_validator("template")
    @classmethod
    def _known_filters(cls, value: str | None) -> str | None:
        for match in PLACEHOLDER.finditer(value or ""):
            for name in match[2].split("|")[1:]:
                if name not in FILTERS:
                    raise ValueError(f"no filter '{name}'; there are {', '.join(FILTERS)}")
        return value

    @property
    def columns(self) -> tuple[str, ...]:
        """The file's columns that it reads."""
        return (*self.column, *(match[1].strip() for match in PLACEHOLDER.finditer(self.template or "")))

    def kind_of(self, name: str) -> str:
        return self.kind or CRM_TIMES.get(name, "text")


def _field(value: object) -> object:
    """`Name: account` is short for `Name: {column: account}`."""
    return {"column": value} if isinstance(value, str | list) else value


class FilePart(_Part):
    """Rows of an object from one file."""

    file: str
    distinct: str | None = Field(default=None, description="one row for each value of this column, its first")
    further_columns: Literal["keep", "ignore"] = Field(default="keep", description="columns that no field names")
    fields: dict[str, Annotated[FieldMap, BeforeValidator(_field)]] = {}

    @field_validator("fields")
    @classmethod
    def _plain_names(cls, fields: dict[str, FieldMap]) -> dict[str, FieldMap]:
        for name in fields:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
                raise ValueError(f"'{name}' is no column name: use letters, digits and _")
        return fields


class ObjectMap(FilePart):
    """One CRM object: the rows of `file`, and of the files under `also`."""

    required: bool = Field(default=False, description="a full export without the file is reported as an error")
    also: tuple[FilePart, ...] = ()

    @property
    def parts(self) -> tuple[FilePart, ...]:
        return (self, *self.also)

    @property
    def all_fields(self) -> Iterator[tuple[str, FieldMap]]:
        for part in self.parts:
            yield from part.fields.items()


class Mapping(_Part):
    """A whole mapping. A canonical column that no field names is taken from the file's column of the same name."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{1,62}$")
    dates: tuple[str, ...] = Field(default=(ISO,), min_length=1, description="formats of dates, tried in order")
    objects: dict[ObjectName, ObjectMap] = Field(min_length=1)

    @cached_property
    def mapping_hash(self) -> str:
        """SHA-256: the same file read by another mapping is another arrival."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @property
    def files(self) -> set[str]:
        return {part.file for item in self.objects.values() for part in item.parts}

    @property
    def has_lookups(self) -> bool:
        return any(field.lookup for item in self.objects.values() for _, field in item.all_fields)

    def columns_of(self, file: str) -> set[str]:
        """The columns of a file that some field reads, in lower case."""
        parts = [
            part for item in self.objects.values() for part in item.parts if part.file.casefold() == file.casefold()
        ]
        named = {column for part in parts for field in part.fields.values() for column in field.columns}
        named |= {"Id" for part in parts if "Id" not in part.fields}
        return {column.strip().casefold() for column in named}

    def order(self, *, by: Literal["lookup", "reference"]) -> list[str]:
        """The objects, those first that others look up (or refer to). Raises CycleError for lookups in a circle."""
        needs: dict[str, set[str]] = {}
        for name, item in self.objects.items():
            if by == "lookup":
                needs[name] = {field.lookup.object for _, field in item.all_fields if field.lookup}
            else:
                needs[name] = {field.references for _, field in item.all_fields if field.references}
            needs[name] = (needs[name] - {name}) & set(self.objects)
        try:
            return list(TopologicalSorter(needs).static_order())
        except CycleError:
            if by == "lookup":
                raise
            return list(self.objects)  # references may run in a circle; the order only spares a look into the lake


def load_mapping(path: Path) -> Mapping:
    """The mapping in `path`. Raises BadInput naming file, line, field and remedy."""
    mapping = load_yaml(path, Mapping, what="a field mapping", manual=MANUAL)

    def wrong(problem: str, remedy: str, *where: str | int) -> BadInput:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        field = ".".join(str(part) for part in where)
        return BadInput(problem, file=path, line=line_of(node, where), field=field, remedy=remedy)

    for name, item in mapping.objects.items():
        for part, where in zip(item.parts, [(), *(("also", at) for at in range(len(item.also)))], strict=True):
            if "Id" not in part.fields and part is not item:
                raise wrong("the rows have no Id", "say which column it is", "objects", name, *where)
            for field_name, field in part.fields.items():
                here = ("objects", name, *where, "fields", field_name)
                if field.lookup is None:
                    continue
                if field.lookup.object not in mapping.objects or field.lookup.object == name:
                    raise wrong(
                        f"looks up '{field.lookup.object}', which is not another object of this mapping",
                        "look up an object that has its own entry",
                        *here,
                    )
                for ours in field.lookup.match.values():
                    if ours not in part.fields and ours not in CRM_OBJECTS[name]:
                        raise wrong(f"'{ours}' is no field of {name}", "match: {their field: our field}", *here)
    try:
        mapping.order(by="lookup")
    except CycleError as error:
        circle = " -> ".join(error.args[1])
        raise wrong(f"objects look each other up in a circle: {circle}", "break it", "objects") from None
    return mapping
