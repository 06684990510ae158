"""Filters: what they mean, and that nothing in them can do more than compare."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from closedloop.programme.filters import (
    FIELDS,
    MAX_CLAUSES,
    MAX_DEPTH,
    MAX_LENGTH,
    Clauses,
    Condition,
    FilterError,
    fields_of,
    parse_filter,
)

Record = dict[str, Any]


def holds(condition: Condition, record: Record) -> bool:
    """What the models do with one row of a filter."""
    value = record.get(condition.name)
    if condition.operator == "empty":
        return (value is None) != condition.negated
    return (
        value is not None and any(_compares(value, condition, other) for other in condition.values)
    ) != condition.negated


def _compares(value: Any, condition: Condition, other: str) -> bool:
    wanted: Any = {"number": float, "boolean": lambda text: text == "true", "text": str}[condition.kind](other)
    return {
        "=": lambda: value == wanted,
        "<": lambda: value < wanted,
        "<=": lambda: value <= wanted,
        ">": lambda: value > wanted,
        ">=": lambda: value >= wanted,
    }[condition.operator]()


def lets_in(clauses: Clauses, record: Record) -> bool:
    return not clauses or any(all(holds(condition, record) for condition in clause) for clause in clauses)


# --- meaning ---------------------------------------------------------------------------------------------------------

ENTERPRISE = {"account.tier": "Enterprise", "account.orders": 3.0, "contact.is_primary": True}
NOTHING: Record = {}


@pytest.mark.parametrize(
    ("text", "enterprise", "nothing"),
    [
        ("", True, True),
        ("  \n ", True, True),
        ("account.tier = 'Enterprise'", True, False),
        ('account.tier = "Enterprise"', True, False),
        ("Account.Tier = 'Enterprise'", True, False),
        ("account.tier = 'enterprise'", False, False),
        ("account.tier != 'Enterprise'", False, True),
        ("not account.tier = 'SMB'", True, True),
        ("not not account.tier = 'SMB'", False, False),
        ("account.tier in ['SMB', 'Enterprise']", True, False),
        ("account.tier not in ['SMB', 'Enterprise']", False, True),
        ("account.tier is empty", False, True),
        ("account.tier is not empty", True, False),
        ("account.orders >= 3 and account.orders < 4", True, False),
        ("account.orders = 3.0", True, False),
        ("account.orders > 3", False, False),
        ("not account.orders > 3", True, True),
        ("account.orders in [1, 2, 3]", True, False),
        ("contact.is_primary = true", True, False),
        ("contact.is_primary = false", False, False),
        ("contact.is_primary != false", True, True),
        # `and` binds more closely than `or`.
        ("account.tier = 'Enterprise' or account.tier = 'SMB' and account.orders = 99", True, False),
        ("(account.tier = 'Enterprise' or account.tier = 'SMB') and account.orders = 99", False, False),
        ("NOT (account.tier = 'SMB' OR account.orders = 3) AND account.tier IS NOT EMPTY", False, False),
        ("account.tier = 'SMB' and account.tier = 'Mid-Market' or account.orders = 3", True, False),
    ],
)
def test_a_filter_means_what_it_says(text: str, enterprise: bool, nothing: bool) -> None:
    clauses = parse_filter(text)
    assert (lets_in(clauses, ENTERPRISE), lets_in(clauses, NOTHING)) == (enterprise, nothing)


def test_clauses_are_the_rows_that_the_models_join() -> None:
    clauses = parse_filter(
        "account.tier in ['A', 'B', 'A'] and (contact.role = 'CEO' or account.contract_value >= 010.50)"
    )
    assert [[condition.as_row() for condition in clause] for clause in clauses] == [
        [
            {
                "subject": "account",
                "field": "tier",
                "operator": "=",
                "values": ["A", "B"],
                "kind": "text",
                "negated": False,
            },
            {
                "subject": "contact",
                "field": "role",
                "operator": "=",
                "values": ["CEO"],
                "kind": "text",
                "negated": False,
            },
        ],
        [
            {
                "subject": "account",
                "field": "tier",
                "operator": "=",
                "values": ["A", "B"],
                "kind": "text",
                "negated": False,
            },
            {
                "subject": "account",
                "field": "contract_value",
                "operator": ">=",
                "values": ["10.5"],
                "kind": "number",
                "negated": False,
            },
        ],
    ]
    assert fields_of(clauses) == {("account", "tier"), ("contact", "role"), ("account", "contract_value")}


def test_fields_of_the_crm_have_its_names() -> None:
    ((custom, column, date),) = parse_filter(
        "account.Health__c > 5 and account.parentid is empty and contact.CreatedDate < '2026-03-01'"
    )
    assert (custom.field, column.field, date.field) == ("Health__c", "ParentId", "CreatedDate")


@pytest.mark.parametrize(
    "text",
    [
        "account.tier = 'A' and account.tier = 'B'",
        "account.tier = 'A' and account.tier != 'A'",
        "account.tier in ['A', 'B'] and account.tier not in ['B', 'A', 'C']",
        "account.tier is empty and account.tier = 'A'",
        "account.tier is empty and not account.tier is empty",
        "account.orders > 3 and account.orders < 3",
        "account.orders >= 9 and account.orders < 10 and account.orders = 100",
        "account.orders > 3 and account.orders <= 3.0",
        "contact.is_primary = true and contact.is_primary = false",
        "account.customer_since > '2026-01-01' and account.customer_since < '2025-01-01'",
        "(account.tier = 'A' or account.tier = 'B') and account.tier = 'C'",
        "account.health__c = 'a' and not account.health__c = 'a'",
    ],
)
def test_what_can_never_be_true_is_refused(text: str) -> None:
    with pytest.raises(FilterError, match="never be true"):
        parse_filter(text)


@pytest.mark.parametrize(
    "text",
    [
        "account.orders >= 3 and account.orders <= 3",
        "account.orders = 3 and account.orders = 3.0 and account.orders = 03",
        "account.orders > 9 and account.orders < 10",
        "account.orders > 9 and account.orders < 100",
        "account.tier is empty and account.tier != 'A'",
        "account.code__c = '05' and account.code__c = 5",
        "account.code__c = 'a' and account.code__c > 5",
        "not account.orders > 3 and not account.orders < 3",
    ],
)
def test_what_may_be_true_is_let_through(text: str) -> None:
    assert parse_filter(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("account.tier =", "ends where a value"),
        ("account.tier 'A'", "at character 14: 'A' stands where one of"),
        ("account.tier = Enterprise", "at character 16: 'Enterprise' stands where a value"),
        ("tier = 'A'", "at character 1: 'tier' stands where a field such as account.tier"),
        ("account.teir = 'A'", "did you mean account.tier?"),
        ("account.colour = 'A'", "a custom field of the CRM ends in __c"),
        ("deal.amount > 3", "all begin with contact. or account."),
        ("contact.email = 'a@b.c'", "personal data"),
        ("account.orders = '3'", "is a number, and is compared with a text"),
        ("account.tier = 3", "is a text, and is compared with a number"),
        ("account.tier in ['A', 3]", "of different kinds"),
        ("account.tier = ''", "write `is empty`"),
        ("account.tier = ' A'", "begins or ends with a blank"),
        ("account.tier > 'A'", "needs a number or a date"),
        ("account.customer_since > 'yesterday'", "write it as '2026-03-01'"),
        ("account.customer_since > '2026-02-30'", "write it as '2026-03-01'"),
        ("account.tier = \u201cA\u201d", "straight quotes"),
        ("account.tier = 'A\u200b'", "at character 18: U+200B cannot be seen"),
        ("account.orders = 1234567890123456", "more than 15 digits"),
    ],
)
def test_an_error_says_what_and_where(text: str, words: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert words in str(caught.value)


# --- hostile filters -------------------------------------------------------------------------------------------------

A = "account.tier = 'A'"
HOSTILE = [
    # SQL, in all the forms in which it is usually brought in
    "1 = 1",
    "1=1 or account.tier = 'A'",
    "'' = ''",
    "' or '1'='1",
    "' or 1=1 --",
    '" or ""="',
    "') or ('1'='1",
    "account.tier = '' or '1'='1'",
    "account.tier = 'A' or 1=1",
    "account.tier = 'A' or true",
    "account.tier = 'A' or 'A' = 'A'",
    "account.tier = 'A'; drop table marts.rpt_nps",
    "account.tier = 'A'; drop table marts.rpt_nps; --",
    f"{A};",
    f"; {A}",
    f"{A} union select * from lake.crm_contact",
    f"{A} union all select null, null",
    f"{A} and exists (select 1 from contacts)",
    "account.tier in (select tier from accounts)",
    "account.tier in ('A', 'B')",
    "account.tier = (select 'A')",
    "account.tier = any(['A'])",
    "account.tier like '%'",
    "account.tier ilike 'a%'",
    "account.tier similar to 'a'",
    "account.tier between 'A' and 'B'",
    "account.orders between 1 and 2",
    "account.tier is null",
    "account.tier == 'A'",
    "account.tier <> 'A'",
    "account.tier === 'A'",
    "account.tier = 'A' and sleep(5)",
    "account.tier = pg_sleep(5)",
    "account.tier = 'A' || 'B'",
    "account.tier = 'A' + 'B'",
    "account.orders = 1 + 1",
    "account.orders = 1::int",
    "account.orders::text = '1'",
    "cast(account.orders as text) = '1'",
    "lower(account.tier) = 'a'",
    "account.tier = lower('A')",
    "account.tier = 'A' collate nocase",
    "account.tier = E'\\x41'",
    "account.tier = $$A$$",
    "account.tier = :tier",
    "account.tier = ?",
    "account.tier = @tier",
    "account.tier = $1",
    "case when account.tier = 'A' then true end",
    "select * from account.tier",
    "attach 'x.duckdb' as y",
    "copy account.tier to '/tmp/x'",
    "read_csv('/etc/passwd')",
    "account.tier = read_text('/etc/passwd')",
    # comments
    f"{A} -- and account.orders > 3",
    f"{A} --",
    f"-- {A}",
    f"{A} # a comment",
    f"{A} /* a comment */",
    f"/**/{A}",
    "account.tier/**/=/**/'A'",
    # quotes
    "account.tier = 'A",
    'account.tier = "A',
    "account.tier = 'A\"",
    "account.tier = A'",
    "account.tier = 'A'B'",
    "account.tier = 'A''B'",
    'account.tier = "A""B"',
    "account.tier = `A`",
    '"account"."tier" = \'A\'',
    "[account].[tier] = 'A'",
    "`account.tier` = 'A'",
    "'account.tier' = 'A'",
    "account.tier = '''A'''",
    # backslashes
    "account.tier = 'A\\'",
    "account.tier = 'A\\' or account.tier = 'B'",
    "account.tier = 'A\\n'",
    "account.tier = 'A\\u0027'",
    "account.tier = '\\'' or 1=1 --'",
    "account.tier = \\'A\\'",
    "account\\.tier = 'A'",
    # characters that look like others, or cannot be seen
    "account.tier = \uff07A\uff07",
    "account.tier = \u2018A\u2019",
    "account.tier \uff1d 'A'",
    "account\uff0etier = 'A'",
    "\u0430ccount.tier = 'A'",
    "account.t\u0456er = 'A'",
    "account.tier = 'A\u202e'",
    "account.tier = '\u2066A\u2069'",
    f"\u202e{A}",
    "account.tier = 'A\u200bB'",
    "account.tier = 'A\u200dB'",
    "account\u200b.tier = 'A'",
    f"\ufeff{A}",
    "account.tier = 'A\u00adB'",
    "account.tier = 'A\U000e0041'",
    "account.tier = 'A\u2028B'",
    "account.orders = \u0663",
    "account.orders = \uff13",
    "account.customer_since > '\uff12\uff10\uff12\uff16-03-01'",
    # characters that end or break a text
    "\x00",
    "\x1f",
    f"{A}\x00",
    "account.tier = 'A\x00B'",
    "account.tier = 'A\rB'",
    "account.tier = 'A\x1b[31m'",
    "account.tier = 'A\x7f'",
    "account.tier = 'A\x85B'",
    "account.tier = '\ud800'",
    # templates, code, names that Python gives
    "{{ account.tier }}",
    "account.tier = {{ tier }}",
    "{% if account.tier %}",
    "account.tier = ${tier}",
    "account.tier = %s",
    "__import__('os').system('id')",
    "account.__class__ = 'A'",
    "account.__class__.__mro__ = 'A'",
    "account.__init____c = 'A'",
    "account.__c = 'A'",
    "account.tier.__len__ = 'A'",
    "lambda: account.tier",
    "account['tier'] = 'A'",
    "account.tier = [x for x in 'A']",
    "account.tier = None",
    "eval(account.tier)",
    # what belongs to a person, or to nobody
    "contact.email = 'kim@example.com'",
    "contact.Email = 'kim@example.com'",
    "contact.EMAIL is not empty",
    "contact.FirstName = 'Kim'",
    "contact.last_name = 'Lee'",
    "contact.LastName in ['Lee']",
    "contact.phone = '1'",
    "contact.password = 'A'",
    "user.Name = 'A'",
    "message.payload = 'A'",
    "lake.crm_contact = 'A'",
    "account.owner.name = 'A'",
    "account. tier = 'A'",
    "account.tier. = 'A'",
    ".tier = 'A'",
    "account. = 'A'",
    # numbers that are none
    "account.orders = 1e999",
    "account.orders = 1e3",
    "account.orders = -1E-3",
    "account.orders = NaN",
    "account.orders = 'NaN'",
    "account.orders = inf",
    "account.orders = -Infinity",
    "account.orders = 0x10",
    "account.orders = 0b1",
    "account.orders = 1_000",
    "account.orders = 1,000",
    "account.orders = .5",
    "account.orders = 5.",
    "account.orders = +5",
    "account.orders = --5",
    "account.orders = - 5",
    "account.orders = 1.2.3",
    "account.orders = 5a",
    "account.orders = true",
    f"account.orders = {'9' * 400}",
    f"account.orders = 0.{'9' * 400}",
    # brackets, and what is missing
    "(",
    ")",
    "()",
    "[]",
    "(account.tier = 'A'",
    "account.tier = 'A')",
    "((account.tier = 'A')",
    "account.tier in ['A'",
    "account.tier in 'A']",
    "account.tier in []",
    "account.tier in [,]",
    "account.tier in ['A',]",
    "account.tier in [['A']]",
    "account.tier in ['A'; 'B']",
    "account.tier",
    "account.tier =",
    "= 'A'",
    "account.tier = account.segment",
    "account.tier 'in' ['A']",
    "account.tier is 'empty'",
    "account.tier is not not empty",
    "account.tier not = 'A'",
    f"{A} and",
    f"and {A}",
    f"{A} {A}",
    f"{A} and or {A}",
    f"{A} xor {A}",
    f"{A} && {A}",
    f"!{A}",
    "not",
    "and",
    "\u3000or",
    # too much
    "(" * 1000 + A + ")" * 900,
    "not " * 300 + A,
    "(" * 1990,
    "[" * 1990,
    "'" * 1999,
    "\\" * 1999,
    " ".join([f"({A}", "and"] * 90),
    f"account.tier = '{'A' * MAX_LENGTH}'",
    " " * (MAX_LENGTH + 1),
    " or ".join([A] * 2000),
    # each pair doubles the alternatives
    " and ".join(f"(account.a{n}__c = 1 or account.b{n}__c = 1)" for n in range(7)),
    "not (" + " or ".join(f"account.a{n}__c = 1 and account.b{n}__c = 1" for n in range(7)) + ")",
    " or ".join(f"account.a{n}__c=1" for n in range(MAX_CLAUSES + 1)),
]


def shown(text: str) -> str:
    return ascii(text[:40])


def test_the_corpus_is_large() -> None:
    assert len(set(HOSTILE)) == len(HOSTILE) > 150


@pytest.mark.parametrize("text", HOSTILE, ids=shown)
def test_a_hostile_filter_is_refused(text: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert str(caught.value)


DATA = [
    "x'; drop table y; --",
    "' or '1'='1",
    '" or ""="',
    "Robert'); DROP TABLE students;--",
    "O'Reilly & Sons",
    'The "Best" Company',
    "a \\ b",
    "\\",
    "\\'",
    "C:\\temp\\",
    "/* not a comment */",
    "-- nor this",
    "{{ company }}",
    "{% raw %}",
    "${jndi:ldap://x}",
    "%s %d",
    "$1 :name ? @x",
    "null",
    "true",
    "NaN",
    "and or not in is empty",
    "account.tier = 'A'",
    "select * from x",
    "<script>alert(1)</script>",
    "[A]",
    "(A)",
    "M\u00fcller \u682a\u5f0f\u4f1a\u793e \u0421\u0431\u0435\u0440",
    "\uff07\uff02\u2018\u2019",
    "a\tb",
    "a  b",
    "\U0001f680",
    "__import__('os')",
]


def quoted(value: str, quote: str = "'") -> str:
    return quote + value.replace("\\", "\\\\").replace(quote, "\\" + quote) + quote


@pytest.mark.parametrize("quote", ["'", '"'], ids=["single", "double"])
@pytest.mark.parametrize("value", DATA, ids=shown)
def test_what_looks_hostile_in_quotes_is_data(value: str, quote: str) -> None:
    ((condition,),) = parse_filter(f"account.name = {quoted(value, quote)}")
    assert condition == Condition("account", "name", "=", (value,))
    assert json.loads(json.dumps(condition.as_row()))["values"] == [value]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ('"x\'; drop table y; --"', "x'; drop table y; --"),
        (r"'x\'; drop table y; --'", "x'; drop table y; --"),
        (r"'\\'", "\\"),
        ("'a\"b'", 'a"b'),
        ("'a/**/b'", "a/**/b"),
    ],
)
def test_a_text_is_exactly_what_stands_in_the_quotes(written: str, value: str) -> None:
    ((condition,),) = parse_filter(f"account.name = {written}")
    assert condition.values == (value,)


def test_what_is_just_not_too_much_is_read() -> None:
    assert parse_filter("(" * (MAX_DEPTH - 1) + A + ")" * (MAX_DEPTH - 1)) == parse_filter(A)
    assert len(parse_filter(" and ".join(f"(account.a{n}__c = 1 or account.b{n}__c = 1)" for n in range(6)))) == 64
    assert len(parse_filter(" or ".join(f"account.a{n}__c=1" for n in range(MAX_CLAUSES)))) == MAX_CLAUSES
    text = "account.tier in ['" + "', '".join(str(n) for n in range(290)) + "']"
    assert len(text) < MAX_LENGTH
    assert len(parse_filter(text)[0][0].values) == 290


# --- properties ------------------------------------------------------------------------------------------------------

WORDS = [*"'\"\\()[],.=<>!-;", *" \n\t\x00\u200b\u202e\uff07"]
WORDS += ["and", "or", "not", "in", "is", "empty", "true", "account.tier", "contact.email", "account.orders", "x__c"]
WORDS += ["'A'", "3", "1e9", "'2026-03-01'", "account.a__c", "/*", "--", "{{"]


@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(WORDS), max_size=40).map(" ".join)))
def test_any_text_is_a_filter_or_a_filter_error(text: str) -> None:
    try:
        clauses = parse_filter(text)
    except FilterError:
        return
    names = {f"{subject}.{name}" for subject, fields in FIELDS.items() for name in fields}
    assert len(clauses) <= MAX_CLAUSES
    assert all(f"{subject}.{field}" in names or field.endswith("__c") for subject, field in fields_of(clauses))


TEXTS = st.sampled_from(["A", "B", "it's", 'say "x"', "back\\slash", "'; drop table y; --"])
NUMBERS = st.sampled_from(["-1", "0", "3", "3.0", "10", "2.5"])
DATES = st.sampled_from(["2025-12-31", "2026-03-01", "2026-03-02"])
Printed = tuple[str, Callable[[Record], bool]]


def _comparison(name: str, sign: str, text: str, value: Any) -> Printed:
    compares: dict[str, Callable[[Any], bool]] = {
        "=": lambda v: v == value,
        "<": lambda v: v < value,
        "<=": lambda v: v <= value,
        ">": lambda v: v > value,
        ">=": lambda v: v >= value,
    }

    def meaning(record: Record) -> bool:
        return record[name] is not None and compares[sign](record[name])

    return f"{name} {sign} {text}", meaning


def _different(name: str, text: str, value: Any) -> Printed:
    return f"{name} != {text}", lambda record: record[name] != value


def _among(name: str, values: list[str], negated: bool) -> Printed:
    listed = ", ".join(quoted(value) for value in values)
    return (
        f"{name} {'not ' if negated else ''}in [{listed}]",
        lambda record: (record[name] in values) != negated,
    )


def _empty(name: str, negated: bool) -> Printed:
    return f"{name} is {'not ' if negated else ''}empty", lambda record: (record[name] is None) != negated


TEXT_FIELDS = st.sampled_from(["account.tier", "contact.role", "account.health__c"])
ALL_FIELDS = ["account.tier", "contact.role", "account.health__c", "account.orders", "account.customer_since"]
ALL_FIELDS += ["contact.is_primary"]
SIGNS = st.sampled_from(["=", "<", "<=", ">", ">="])
LEAVES = st.one_of(
    st.builds(lambda name, value: _comparison(name, "=", quoted(value), value), TEXT_FIELDS, TEXTS),
    st.builds(lambda name, value: _different(name, quoted(value, '"'), value), TEXT_FIELDS, TEXTS),
    st.builds(_among, TEXT_FIELDS, st.lists(TEXTS, min_size=1, max_size=3), st.booleans()),
    st.builds(lambda sign, value: _comparison("account.orders", sign, value, float(value)), SIGNS, NUMBERS),
    st.builds(lambda sign, value: _comparison("account.customer_since", sign, f"'{value}'", value), SIGNS, DATES),
    st.builds(lambda value: _comparison("contact.is_primary", "=", str(value).lower(), value), st.booleans()),
    st.builds(_empty, st.sampled_from(ALL_FIELDS), st.booleans()),
)


def _joined(left: Printed, right: Printed, word: str) -> Printed:
    (a, first), (b, second) = left, right
    if word == "and":
        return f"({a}) and ({b})", lambda record: first(record) and second(record)
    return f"({a}) or ({b})", lambda record: first(record) or second(record)


def _not(tree: Printed) -> Printed:
    text, meaning = tree
    return f"not ({text})", lambda record: not meaning(record)


TREES = st.recursive(
    LEAVES,
    lambda trees: st.one_of(st.builds(_joined, trees, trees, st.sampled_from(["and", "or"])), st.builds(_not, trees)),
    max_leaves=8,
)
RECORDS = st.fixed_dictionaries(
    {
        "account.tier": st.none() | TEXTS,
        "contact.role": st.none() | TEXTS,
        "account.health__c": st.none() | TEXTS,
        "account.orders": st.none() | NUMBERS.map(float),
        "account.customer_since": st.none() | DATES,
        "contact.is_primary": st.none() | st.booleans(),
    }
)


@given(TREES, st.lists(RECORDS, min_size=1, max_size=20))
def test_clauses_mean_what_the_tree_means(tree: Printed, records: list[Record]) -> None:
    text, meaning = tree
    try:
        clauses = parse_filter(text)
    except FilterError as error:
        if "too many alternatives" not in str(error) and "longer than" not in str(error):
            # A filter is called impossible only when it is: no record may contradict that.
            assert "never be true" in str(error)
            assert not any(meaning(record) for record in records)
        return
    for record in records:
        assert lets_in(clauses, record) == meaning(record), text
