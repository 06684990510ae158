"""A mapping as SQL: loaded files become the rows of one CRM object, each with the fault that keeps it out, if any."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import duckdb

from closedloop.lake.catalogue import ARRIVAL, CRM_OBJECTS, CRM_STATE
from ingestion.sources.csvfile import CsvFile
from ingestion.sources.mapping import PLACEHOLDER, FieldMap, FilePart, Lookup, Mapping
from ingestion.sources.series import Series
from ingestion.sources.sqltext import clean, literal, moment, quoted

OUTPUT = {"date": "%Y-%m-%d", "datetime": "%Y-%m-%dT%H:%M:%S.%gZ"}


@dataclass(frozen=True)
class Mapped:
    """The rows of an object in a series of exports: `table` with `_export` (the export's number), `_part`, `_line`,
    `_fault` ('reason|field' or null) and `columns`."""

    name: str
    table: str
    columns: tuple[str, ...]
    parts: tuple[Series, ...]
    """The files of each part."""


def map_object(
    con: duckdb.DuckDBPyConnection,
    name: str,
    mapping: Mapping,
    series: Sequence[Series],
    exports: Sequence[int],
    known: Callable[[str], str],
) -> Mapped:
    """Makes the table of an object from the files of its parts in these exports.

    `known` gives the query of another object's rows, for lookups; with these there may be one export only.
    """
    item = mapping.objects[name]
    parts = [
        _part(at, name, part, files, exports, mapping.dates, known)
        for at, (part, files) in enumerate(zip(item.parts, series, strict=True))
    ]
    table = f"m_{name}"
    con.execute(f"create or replace table {table} as " + " union all by name ".join(sql for sql, _ in parts))
    columns = tuple(dict.fromkeys(column for _, named in parts for column in named))
    _mark_duplicates(con, table, columns)
    return Mapped(name, table, columns, tuple(series))


def fields_of(name: str, part: FilePart, has: Callable[[str], object]) -> dict[str, FieldMap]:
    """All fields of a part: those of the mapping, then canonical columns that stand in the file under their own name.

    `has` tells whether the file has a column.
    """
    own = {
        column: FieldMap(column=(column,)) for column in CRM_OBJECTS[name] if column not in part.fields and has(column)
    }
    return {**part.fields, **own}


def missing_columns(part: FilePart, file: CsvFile) -> list[tuple[str, str, bool]]:
    """(our field, the file's column that is not there, whether no row can do without it)."""
    missing = []
    for field_name, field in part.fields.items():
        absent = [column for column in field.columns if not file.has(column)]
        if absent and (field.template is not None or len(absent) == len(field.columns)):
            missing.append((field_name, absent[0], field.required or field_name == "Id"))
    if part.distinct and not file.has(part.distinct):
        missing.append(("Id", part.distinct, True))
    if "Id" not in part.fields and not file.has("Id"):
        missing.append(("Id", "Id", True))
    return missing


def _part(
    at: int,
    name: str,
    part: FilePart,
    file: Series,
    exports: Sequence[int],
    dates: tuple[str, ...],
    known: Callable[[str], str],
) -> tuple[str, list[str]]:
    """The query of one part and its columns."""
    fields = fields_of(name, part, file.column)
    plain = {field: spec for field, spec in fields.items() if spec.lookup is None}
    further = _further(name, part, file, fields) if part.further_columns == "keep" else {}
    source = f"select * from {file.table} where _export in ({', '.join(map(str, exports))})"
    if part.distinct:
        key = clean(str(file.column(part.distinct)))
        source += f" and {key} is not null qualify row_number() over (partition by _export, {key} order by _line) = 1"
    base = ", ".join(
        [f"{_origin(spec, file)} as {quoted(field)}" for field, spec in plain.items()]
        + [f"{clean(column)} as {quoted(field)}" for field, column in further.items()]
    )
    done = ", ".join(
        [f"{_result(field, quoted(field), spec, dates)} as {quoted(field)}" for field, spec in plain.items()]
        + [quoted(field) for field in further]
    )
    ordered = sorted(plain.items(), key=lambda entry: entry[0] != "Id")
    fault = _fault([check for field, spec in ordered for check in _checks(field, quoted(field), spec, dates)])
    sql = (
        f"select _export, {at} as _part, _line, {done}, {fault} as _fault "
        f"from (select _export, _line, {base} from ({source})) as based"
    )
    for field, spec in fields.items():
        if spec.lookup is not None:
            sql = _with_lookup(sql, field, spec, spec.lookup, dates, known)
    return sql, [*fields, *further]


def _further(name: str, part: FilePart, file: Series, fields: dict[str, FieldMap]) -> dict[str, str]:
    """Names for the columns that no field reads; one that is taken, or cannot name a column, is changed a little."""
    used = {column.strip().casefold() for spec in fields.values() for column in spec.columns}
    taken = {column.casefold() for column in (*CRM_OBJECTS[name], *CRM_STATE, *ARRIVAL, *fields)}
    further: dict[str, str] = {}
    for position, header in enumerate(file.headers):
        if header.casefold() in used:
            continue
        column = re.sub(r"[^A-Za-z0-9_]+", "_", header).strip("_") or f"column_{position + 1}"
        if column.casefold() in taken or not column[0].isalpha():
            column = f"source_{column}"
        while column.casefold() in taken:
            column += "_"
        taken.add(column.casefold())
        further[column] = f"c{position}"
    return further


def _origin(field: FieldMap, file: Series) -> str:
    """The text that a field starts from."""
    if field.value is not None:
        return literal(field.value) if field.value else "cast(null as varchar)"
    if field.template is not None:
        return _template(field.template, file)
    present = [clean(column) for name in field.column if (column := file.column(name))]
    if not present:
        return "cast(null as varchar)"
    return present[0] if len(present) == 1 else f"coalesce({', '.join(present)})"


def _template(template: str, file: Series) -> str:
    """Text with columns in it; empty where one of them is."""
    pieces, end = [], 0
    for match in PLACEHOLDER.finditer(template):
        column = file.column(match[1])
        value = clean(column) if column else "cast(null as varchar)"
        for name in match[2].split("|")[1:]:
            value = _filtered(value, name)
        pieces += [literal(template[end : match.start()]), value]
        end = match.end()
    pieces.append(literal(template[end:]))
    return "(" + " || ".join(pieces) + ")"


def _filtered(value: str, name: str) -> str:
    if name == "slug":
        dotted = f"regexp_replace(lower(strip_accents({value})), '[^a-z0-9]+', '.', 'g')"
        return f"nullif(trim({dotted}, '.'), '')"
    return f"{name}({value})"


def _result(name: str, value: str, field: FieldMap, dates: tuple[str, ...]) -> str:
    """What becomes of the text: known values, the default, dates in one format."""
    meant = _meant(value, field)
    kind = field.kind_of(name)
    return f"strftime({moment(meant, field.dates or dates)}, '{OUTPUT[kind]}')" if kind in OUTPUT else meant


def _meant(value: str, field: FieldMap) -> str:
    if field.values:
        cases = " ".join(f"when {literal(found)} then {literal(meant)}" for found, meant in field.values.items())
        value = f"nullif(case {value} {cases} else {'null' if field.unmatched == 'empty' else value} end, '')"
    return f"coalesce({value}, {literal(field.default)})" if field.default else value


def _checks(name: str, value: str, field: FieldMap, dates: tuple[str, ...]) -> list[tuple[str, str]]:
    """(condition of a fault, the fault)."""
    checks = []
    meant = _meant(value, field)
    if field.required or name == "Id":
        checks.append((f"{meant} is null", f"required_empty|{name}"))
    if field.values and field.unmatched == "quarantine":
        listed = ", ".join(literal(word) for word in dict.fromkeys([*field.values, *field.values.values()]))
        checks.append((f"{value} not in ({listed})", f"unknown_value|{name}"))
    if field.kind_of(name) in OUTPUT:
        checks.append((f"{meant} is not null and {moment(meant, field.dates or dates)} is null", f"bad_date|{name}"))
    return checks


def _fault(checks: list[tuple[str, str]]) -> str:
    whens = " ".join(f"when {condition} then {literal(fault)}" for condition, fault in checks)
    return f"case {whens} end" if whens else "cast(null as varchar)"


def _with_lookup(
    sql: str, name: str, field: FieldMap, lookup: Lookup, dates: tuple[str, ...], known: Callable[[str], str]
) -> str:
    keys = ", ".join(quoted(theirs) for theirs in lookup.match)
    wanted = [f"{quoted(lookup.take)} is not null", *(f"{quoted(k)} = {literal(v)}" for k, v in lookup.only.items())]
    order = lookup.oldest_by or lookup.newest_by
    best = (
        f"{'arg_min' if lookup.oldest_by else 'arg_max'}({quoted(lookup.take)}, "
        f"row(coalesce({quoted(order)}, ''), \"Id\"))"
    )
    found = (
        f"select {keys}, {best} as _found from ({known(lookup.object)}) as theirs "
        f"where {' and '.join(wanted)} group by {keys}"
    )
    on = " and ".join(f"ours.{quoted(ours)} = found.{quoted(theirs)}" for theirs, ours in lookup.match.items())
    return (
        f"select ours.* exclude (_fault), {_result(name, '_found', field, dates)} as {quoted(name)}, "
        f"coalesce(_fault, {_fault(_checks(name, '_found', field, dates))}) as _fault "
        f"from ({sql}) as ours left join ({found}) as found on {on}"
    )


def _mark_duplicates(con: duckdb.DuckDBPyConnection, table: str, columns: Sequence[str]) -> None:
    """Of several rows with one Id in an export the newest stays (by SystemModstamp, then the last in the file)."""
    twice = f"select _export, Id from {table} where _fault is null group by all having count(*) > 1"
    if not con.execute(f"{twice} limit 1").fetchall():
        return
    stamp = '"SystemModstamp"' if "SystemModstamp" in columns else "null"
    con.execute(
        f"update {table} set _fault = 'duplicate_id|Id' where _fault is null and rowid in ("
        f"select rowid from {table} where _fault is null and (_export, Id) in ({twice}) qualify row_number() "
        f"over (partition by _export, Id order by {stamp} desc nulls last, _part desc, _line desc) > 1)"
    )
