"""Answers of other tools, from a CSV file in the format of docs/response-import.md, into the lake."""

from __future__ import annotations

import datetime as dt
import difflib
import hashlib
import tempfile
from pathlib import Path

import duckdb

from closedloop.clock import as_utc
from closedloop.errors import BadInput
from closedloop.lake import Lake
from ingestion.sources.arrivals import Arrival, Arrivals
from ingestion.sources.csvfile import CsvFile, open_csv
from ingestion.sources.quarantine import Quarantine, Waiting
from ingestion.sources.report import ObjectReport, ResponseReport
from ingestion.sources.series import Series, load_series
from ingestion.sources.sqltext import CLOCKS_DIFFER, clean, literal, moment, prepare

__all__ = ["ResponseReport", "ingest_responses"]

TABLE = "responses.imported"
REQUIRED = ("external_id", "survey", "survey_type", "score", "submitted_at")
OPTIONAL = ("contact_id", "contact_email", "account_id", "comment", "channel", "scale")
DEFAULT_SCALE = "0-10"
SCALE = r"^(\d{1,3}) *(?:-|–|to|[.]{2}) *(\d{1,3})$"


def ingest_responses(lake: Lake, file: Path, *, now: dt.datetime) -> ResponseReport:
    """Reads one file of responses; works on an empty home. `now` is when we learn them.

    A known `external_id` with other content becomes a new version; the same file again changes nothing. Rows that
    cannot be responses wait in quarantine. Raises BadInput when the file as a whole cannot be used.
    """
    opened = open_csv(Path(file), needed=set(REQUIRED))
    _check_columns(opened)
    with tempfile.TemporaryDirectory() as spill, duckdb.connect() as con:
        prepare(con, Path(spill))
        return _ingest(con, lake, opened, as_utc(now))


def _ingest(con: duckdb.DuckDBPyConnection, lake: Lake, file: CsvFile, now: dt.datetime) -> ResponseReport:
    arrivals = Arrivals(con, lake, "responses")
    # A file is its content: when it came does not make it another one.
    arrival = Arrival("response", file.path.name, "full", dt.datetime(1970, 1, 1), file.shape.content_hash)  # noqa: DTZ001
    known = arrivals.find(arrival)
    if known is not None:
        unchanged = known.rows_read - sum(known.quarantined.values())
        return ResponseReport(known.rows_read, unchanged=unchanged, reasons=known.quarantined, warnings=file.warnings)

    series = load_series(con, {0: file}, "raw")
    con.execute(f"create or replace table typed as {_typed(series, latest=now + CLOCKS_DIFFER)}")
    con.execute(f"create or replace table judged as {_JUDGED}")
    cut = lake.cut_of(TABLE)
    con.execute(
        f"""
        create or replace table news as
        select judged.* from judged
        left join (
            select external_id, arg_max(content_hash, _ingested_at) as content_hash
            from ({lake.select(TABLE, cut)}) group by 1
        ) as known using (external_id)
        where fault is null and judged.content_hash is distinct from known.content_hash
        """
    )
    report = _report(con, file)
    quarantine = _quarantine(con, series, file)
    _append(con, lake, file, base=cut.get(TABLE), now=now)
    report.new_in_quarantine = quarantine.store(lake, now=now)
    loaded = report.loaded + report.unanswered
    arrivals.add(
        arrival,
        ObjectReport("response", report.rows_read, loaded, report.unchanged, quarantined=report.reasons),
    )
    arrivals.store(lake, now=now)
    report.check()
    return report


def _check_columns(file: CsvFile) -> None:
    for column in REQUIRED:
        if not file.has(column):
            near = difflib.get_close_matches(column, file.headers, 1, 0.6)
            hint = f"rename '{near[0]}'" if near else f"add it; a response file has {', '.join(REQUIRED)}"
            raise BadInput(f"the column '{column}' is missing", file=file.path, line=1, field=column, remedy=hint)


def _typed(series: Series, *, latest: dt.datetime) -> str:
    """The query of the rows with trimmed text, the time as UTC, attributes as JSON, and which occurrence of an id it is."""
    own = {name: series.column(name) for name in (*REQUIRED, *OPTIONAL)}
    columns = ", ".join(
        f"{clean(column) if column else 'cast(null as varchar)'} as {name}" for name, column in own.items()
    )
    further = sorted(
        (header, f"c{position}") for position, header in enumerate(series.headers) if f"c{position}" not in own.values()
    )
    pairs = ", ".join(
        f"{literal(_json_key(header))} || cast(to_json({clean(column)}) as varchar)" for header, column in further
    )
    attributes = f"'{{' || concat_ws(',', {pairs}) || '}}'" if pairs else "'{}'"
    return f"""
        select * exclude (ends), try_cast(ends.low as integer) as low, try_cast(ends.high as integer) as high
        from (
            select * replace (lower(survey_type) as survey_type), submitted_at is null as no_time,
                timestamp '{latest:%Y-%m-%d %H:%M:%S.%f}' as latest,
                {moment("submitted_at")} as answered_at, try_cast(score as double) as number,
                (length(score) = 1 or regexp_full_match(score, '-?\\d+(\\.0+)?')) as is_whole,
                regexp_extract(coalesce(scale, '{DEFAULT_SCALE}'), '{SCALE}', ['low', 'high']) as ends
            from (select _line, {columns}, {attributes} as attributes from {series.table})
        )
    """


# What is wrong with a row, if anything: the first fault counts. Of several rows with one external_id the first that can
# be a response counts.
_JUDGED = """
    with faults as (
        select *,
            case
                when external_id is null then 'external_id_missing|external_id'
                when survey is null then 'survey_missing|survey'
                when survey = 'all' then 'reserved_survey|survey'
                when survey_type is null or survey_type not in ('transactional', 'relationship')
                    then 'unknown_survey_type|survey_type'
                when low is null or low >= high
                    then 'unknown_scale|scale'
                when score is not null and number is null then 'score_not_a_number|score'
                when score is not null and not is_whole then 'score_not_whole|score'
                when score is not null and number not between low and high
                    then 'score_out_of_range|score'
                when score is not null and no_time then 'submitted_at_missing|submitted_at'
                when not no_time and answered_at is null then 'bad_submitted_at|submitted_at'
                when answered_at > latest then 'submitted_at_in_future|submitted_at'
            end as row_fault
        from typed
    ),
    counted as (
        select *,
            case when row_fault is null then
                row_number() over (partition by external_id, row_fault is null order by _line)
            end as nth
        from faults
    )
    select _line, external_id, survey, survey_type, contact_id, contact_email, account_id,
        case when score is null then '' else cast(try_cast(number as bigint) as varchar) end as score,
        comment, lower(channel) as channel, answered_at as submitted_at,
        low || '-' || high as scale, attributes,
        case when row_fault is not null then row_fault when nth > 1 then 'duplicate_external_id|external_id' end as fault,
        md5(concat_ws(chr(31), external_id, 'survey=' || survey, 'type=' || survey_type, 'contact=' || contact_id,
            'email=' || contact_email, 'account=' || account_id, 'score=' || try_cast(number as bigint),
            'comment=' || comment, 'channel=' || lower(channel), 'at=' || answered_at, 'low=' || low,
            'high=' || high, attributes)) as content_hash
    from counted
"""


def _report(con: duckdb.DuckDBPyConnection, file: CsvFile) -> ResponseReport:
    rows, good = con.execute("select count(*), count(*) filter (where fault is null) from judged").fetchall()[0]
    new, unanswered = con.execute("select count(*), count(*) filter (where score = '') from news").fetchall()[0]
    report = ResponseReport(
        rows_read=rows + len(file.bad_lines),
        loaded=new - unanswered,
        unanswered=unanswered,
        unchanged=good - new,
        warnings=list(file.warnings),
    )
    report.reasons = dict(
        con.execute(
            "select split_part(fault, '|', 1), count(*) from judged where fault is not null group by 1 order by 1"
        ).fetchall()
    )
    for bad in file.bad_lines:
        report.reasons[bad.reason] = report.reasons.get(bad.reason, 0) + 1
    return report


def _quarantine(con: duckdb.DuckDBPyConnection, series: Series, file: CsvFile) -> Quarantine:
    quarantine = Quarantine(con, "responses")
    name = file.path.name
    raw = ", ".join(f"{literal(header)}: raw.c{position}" for position, header in enumerate(series.headers))
    quarantine.add_query(
        f"select 'response' as object, {literal(name)} as file, _line as line, split_part(fault, '|', 2) as field, "
        f"split_part(fault, '|', 1) as reason, cast(to_json({{{raw}}}) as varchar) as raw "
        f"from judged join {series.table} as raw using (_line) where fault is not null"
    )
    quarantine.add([Waiting.of_line("response", name, bad.line, bad.reason, list(bad.cells)) for bad in file.bad_lines])
    return quarantine


def _append(con: duckdb.DuckDBPyConnection, lake: Lake, file: CsvFile, *, base: int | None, now: dt.datetime) -> None:
    rows = con.execute(
        f"select * exclude (_line, fault), {literal(file.path.name)} as source_file, _line as source_line "
        "from news order by _line"
    ).to_arrow_table()
    batch = hashlib.sha256(f"{base}|{file.shape.content_hash}".encode()).hexdigest()[:32]
    lake.append(TABLE, rows, batch_id=f"responses-{batch}", ingested_at=now, source=file.path.name, base=base)


def _json_key(header: str) -> str:
    return '"' + header.replace("\\", "\\\\").replace('"', '\\"') + '":'
