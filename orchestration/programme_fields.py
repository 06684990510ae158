"""The single CRM fields that programmes name as the CRM does: shown to the models, and warned of where there are none."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import duckdb

from closedloop.errors import BadInput
from closedloop.lake import Lake
from closedloop.lake.catalogue import CRM_OBJECTS
from closedloop.programme import Survey, TriggerEvent
from closedloop.programme.files import load_survey
from closedloop.programme.filters import FIELDS, fields_of, parse_filter
from closedloop.settings import Settings
from closedloop.yamlfile import line_in

_VERSION = ("Id", "SystemModstamp", "IsDeleted", "_op", "_row_hash", "_exported_at", "_ingested_at")


def show_fields(con: duckdb.DuckDBPyConnection) -> None:
    """The view `lake.crm_fields`: versions of the single fields that programmes name as the CRM does.

    What a programme says is only compared with the columns that there are; no word of it becomes part of a query.
    """
    selects = []
    for name, column in sorted(fields_by_name(con)):
        columns = {found.lower(): found for (found, *_) in con.execute(f"describe lake.crm_{name}").fetchall()}
        if column.lower() in columns:
            value = columns[column.lower()].replace('"', '""')
            selects.append(
                f"select '{name}' as object, '{value}' as field, \"{value}\" as value, {', '.join(_VERSION)} "
                f"from lake.crm_{name}"
            )
    nothing = (
        "select ''::varchar as object, ''::varchar as field, ''::varchar as value, "
        f"{', '.join(_VERSION)} from lake.crm_account where false"
    )
    con.execute(f"create or replace view lake.crm_fields as {' union all '.join(selects or [nothing])}")


def fields_by_name(con: duckdb.DuckDBPyConnection) -> set[tuple[str, str]]:
    """(object, column) that some programme of the lake names as the CRM does: in a filter, or to watch for changes."""
    texts = con.execute("select distinct definition from lake.definitions_surveys").fetchall()
    return {named for (text,) in texts for _, named in _fields_of(json.loads(text or "{}"))}


def _fields_of(definition: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    """Where a definition names a field as the CRM does, and (object, column)."""
    found = [
        ("audience.where", (condition["subject"], condition["field"]))
        for condition in chain.from_iterable((definition.get("audience") or {}).get("clauses") or [])
    ]
    found += [
        (f"workflows.{place}.where", pair)
        for place, workflow in enumerate(definition.get("workflows") or [])
        for pair in fields_of(parse_filter(workflow.get("where") or ""))
    ]
    found += [
        (f"triggers.{place}.field", (trigger["object"], trigger["field"]))
        for place, trigger in enumerate(definition.get("triggers") or [])
        if trigger["event"] == TriggerEvent.FIELD_CHANGED
    ]
    for place, (name, column) in found:
        if name in CRM_OBJECTS and column not in FIELDS.get(name, {}):
            yield place, (name, column)


@dataclass(frozen=True)
class UnknownField:
    """A column that a programme names and no export ever brought: a filter lets nobody in by it, a trigger never fires."""

    survey_id: str
    object: str
    field: str
    place: str
    near: tuple[str, ...]
    """Names that are there and look alike."""


def unknown_fields(con: duckdb.DuckDBPyConnection, surveys: Iterable[Survey]) -> list[UnknownField]:
    """What `surveys` name and the views of the lake in `con` do not have; of objects that have any rows."""
    named = [(survey.id, *found) for survey in surveys for found in _fields_of(json.loads(survey.definition))]
    columns: dict[str, dict[str, str]] = {}
    for name in {name for _, _, (name, _) in named}:
        view = f"lake.crm_{name}"
        if con.execute(f"select 1 from {view} limit 1").fetchone():
            columns[name] = {column.lower(): column for (column, *_) in con.execute(f"describe {view}").fetchall()}
    unknown = {}
    for survey_id, place, (name, column) in named:
        there = columns.get(name)
        if there is not None and column.lower() not in there:
            own = {field: field for field in FIELDS.get(name, {}) if place.endswith("where")}
            readable = {lower: found for lower, found in there.items() if not lower.startswith("_")} | own
            near = tuple(readable[lower] for lower in difflib.get_close_matches(column.lower(), readable, cutoff=0.7))
            unknown[survey_id, name, column, place] = UnknownField(survey_id, name, column, place, near)
    return list(unknown.values())


def field_warnings(settings: Settings, surveys: Iterable[Survey]) -> list[BadInput]:
    """`unknown_fields` of this home's lake as it is now, each in words and with its place in the programme's file; none
    where nothing has come in yet."""
    named = [survey for survey in surveys if any(_fields_of(json.loads(survey.definition)))]
    if not named or not settings.lake_dir.is_dir():
        return []
    with Lake.open(settings) as lake, duckdb.connect() as con:
        lake.create_views(con, {name: snapshot for name, snapshot in lake.cut().items() if name.startswith("crm.")})
        unknown = unknown_fields(con, named)
    file_of = files_by_survey(settings) if unknown else {}
    return [_in_words(one, file_of[one.survey_id]) for one in unknown]


def files_by_survey(settings: Settings) -> dict[str, Path]:
    """The file of each programme."""
    return {load_survey(path).id: path for path in settings.surveys.glob("*.y*ml")}


def _in_words(unknown: UnknownField, file: Path) -> BadInput:
    effect = "a condition on it lets nobody in" if unknown.place.endswith("where") else "the trigger never fires"
    near = " or ".join(f"'{name}'" for name in unknown.near)
    return BadInput(
        f"no export of the CRM has brought '{unknown.object}.{unknown.field}': {effect}"
        + (f"; did you mean {near}?" if near else ""),
        file=file,
        line=line_in(file, *(int(part) if part.isdigit() else part for part in unknown.place.split("."))),
        field=unknown.place,
        remedy="mend the name, or let the CRM export this field",
    )
