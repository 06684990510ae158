"""The models speak only SQL that DuckDB and Spark 3.5 share, and never read a clock. sqlglot parses what Spark does not,
without a word: so its tree and tokens are walked for what must not be there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlglot
from sqlglot import exp
from sqlglot.tokens import TokenType

ROOT = Path(__file__).resolve().parents[2]
PROJECT = ROOT / "dbt_project"
SQL_FILES = sorted((PROJECT / "models").rglob("*.sql")) + sorted((PROJECT / "tests").rglob("*.sql"))
MACRO_FILES = sorted(path for path in (PROJECT / "macros").rglob("*.sql") if path.name != "engine.sql")

# What only one of the two engines has: it belongs into macros/engine.sql.
ENGINE_WORDS = re.compile(
    r"\b(to_days|to_seconds|epoch|epoch_ms|date_diff|datediff|date_add|dateadd|strftime|strptime|json_\w+\(|get_json_object"
    r"|from_json|list_\w+\(|array_\w+\(|unnest|explode|sha256|sha2|arg_max|arg_min|string_agg|listagg|timestamptz|hugeint"
    r"|ilike|regexp_\w+|uuid|struct_\w+\(|asof|qualify|lateral|pivot|unpivot|make_timestamp|try_to_\w+|exclude|datesub)\b",
    re.IGNORECASE,
)
# Macros of that file have names of their own, and may be called.
MACRO_NAMES = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}|--[^\n]*", re.DOTALL)
CLOCK = re.compile(
    r"\b(now|today|current_timestamp|current_date|current_time|localtimestamp|getdate|run_started_at|random|rand|gen_random_uuid"
    r"|transaction_timestamp|get_current_timestamp)\b|modules\.datetime|dbt\.current_timestamp",
    re.IGNORECASE,
)
CLOCK_NODES = (exp.CurrentTimestamp, exp.CurrentDate, exp.CurrentTime, exp.CurrentDatetime, exp.Rand, exp.Uuid)
BANNED_TOKENS = {TokenType.DCOLON: "::", TokenType.DARROW: "->>", TokenType.ARROW: "->", TokenType.DIV: "//"}
WHOLE_OR_FRACTION = (exp.Cast, exp.TryCast, exp.Div)


def offences(sql: str) -> Iterator[str]:
    """What of the SQL (DuckDB's) Spark 3.5 does not speak, or silently understands otherwise."""
    for token in sqlglot.tokenize(sql, read="duckdb"):
        if token.token_type in BANNED_TOKENS:
            yield BANNED_TOKENS[token.token_type]
    for statement in sqlglot.parse(sql, read="duckdb"):
        for node in statement.walk() if statement else ():
            yield from _offence(node)


def _offence(node: exp.Expression) -> Iterator[str]:
    match node:
        case exp.Qualify():
            yield "QUALIFY"
        case exp.Lambda():
            yield "a lambda"
        case exp.IntDiv():
            yield "integer division"
        case exp.Star() if node.args.get("except_") or node.args.get("except") or node.args.get("replace"):
            yield "* exclude or replace"
        case exp.Join() if (node.args.get("method") or "").upper() in {"ASOF", "POSITIONAL"}:
            yield "ASOF join"
        case exp.Distinct() if node.args.get("on"):
            yield "DISTINCT ON"
        case exp.With() if node.args.get("recursive"):
            yield "recursive CTE"
        case exp.Interval():
            yield "an interval outside the macros"
        case exp.Anonymous() if node.name.lower() in {"hash", "now", "today", "uuid", "gen_random_uuid"}:
            yield f"{node.name}()"
        case exp.Sum() if not _has_above(node, WHOLE_OR_FRACTION):
            yield f"a sum that is not cast to bigint or double: {node.sql()}"
        case exp.TimestampTrunc() | exp.DateTrunc() if not _has_above(node, (exp.Cast,)):
            yield "date_trunc without a cast"
        case exp.DataType() if node.this in {
            exp.DataType.Type.UUID,
            exp.DataType.Type.TIME,
            exp.DataType.Type.INTERVAL,
        }:
            yield f"type {node.this.value}"
    if isinstance(node, CLOCK_NODES):
        yield "a clock"


def _has_above(node: exp.Expression, kinds: tuple[type, ...]) -> bool:
    above = node.parent
    while above is not None and not isinstance(above, exp.Select):
        if isinstance(above, (*kinds, exp.Where, exp.Having)):
            return True
        above = above.parent
    return False


@pytest.mark.parametrize(
    "sql",
    [
        "select a from t qualify row_number() over (order by a) = 1",
        "select a::int from t",
        "select a // 2 from t",
        "select a ->> '$.b' from t",
        "select * exclude (a) from t",
        "select * from t asof join u on t.a >= u.a",
        "select distinct on (a) a from t",
        "select sum(a) from t",
        "select date_trunc('week', a) from t",
        "select list_transform(a, x -> x + 1) from t",
        "with recursive n as (select 1 union all select 2) select * from n",
        "select hash(a) from t",
        "select now() from t",
        "select current_date",
        "select a + interval '1' day from t",
    ],
)
def test_the_lint_finds_what_spark_does_not_speak(sql: str) -> None:
    assert list(offences(sql))


@pytest.mark.parametrize("path", SQL_FILES + MACRO_FILES, ids=lambda path: path.stem)
def test_no_model_says_what_only_one_engine_knows(path: Path) -> None:
    text = MACRO_NAMES.sub("", path.read_text())
    if path in MACRO_FILES:
        text = re.sub(r"--[^\n]*|\{#.*?#\}", "", path.read_text(), flags=re.DOTALL)
    found = {match.group(0) for match in ENGINE_WORDS.finditer(text)}
    assert not found, f"{path.name}: move {sorted(found)} into macros/engine.sql"


@pytest.mark.parametrize("path", SQL_FILES + MACRO_FILES, ids=lambda path: path.stem)
def test_no_model_reads_the_clock(path: Path) -> None:
    text = re.sub(r"--[^\n]*|\{#.*?#\}|'[^'\n]*'", "", path.read_text(), flags=re.DOTALL)
    assert not CLOCK.findall(text)


@pytest.mark.slow
def test_every_model_as_compiled_is_shared_sql(manifest: dict) -> None:
    nodes = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    found = {
        node["name"]: sorted(set(offences(node["compiled_code"])))
        # What the engine macros make is DuckDB's own here.
        for node in nodes
    }
    assert len(nodes) > 60
    # One round an ask: Spark has a macro of its own for it, as it knows no recursion.
    assert found.pop("int_replay_asks") == ["recursive CTE"]
    assert not {name: what for name, what in found.items() if what}
