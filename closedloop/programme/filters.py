"""The filter of an audience: a small grammar over CRM fields, read into conditions that travel as data.

    account.tier in ['Enterprise', 'Mid-Market'] and (contact.role = 'Decision Maker' or account.contract_value >= 10000)

No part of a filter ever becomes SQL: the text is parsed here, brought into clauses (any clause of which all conditions
hold lets a contact in), and the models join those as rows. A comparison with an empty field is false, and `not` of it
is true: `not account.tier = 'SMB'` and `account.tier != 'SMB'` let accounts without a tier in. Texts are compared as they
are written, capitals and all; numbers and dates by their value.
"""

from __future__ import annotations

import datetime as dt
import difflib
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import product
from typing import Literal

from closedloop.lake.catalogue import CRM_OBJECTS, CRM_TIMES

Kind = Literal["text", "number", "date", "boolean", "any"]
Operator = Literal["=", "<", "<=", ">", ">=", "empty"]

MAX_LENGTH = 2_000
MAX_CLAUSES = 64
MAX_DEPTH = 32
MAX_DIGITS = 15
"""So many digits the engines' numbers hold exactly."""

FIELDS: dict[str, dict[str, Kind]] = {
    "contact": {
        "role": "text",
        "title": "text",
        "language": "text",
        "time_zone": "text",
        "is_primary": "boolean",
        "is_lead": "boolean",
        "created_on": "date",
    },
    "account": {
        "name": "text",
        "type": "text",
        "tier": "text",
        "industry": "text",
        "segment": "text",
        "region": "text",
        "plan": "text",
        "owner_id": "text",
        "csm_id": "text",
        "contract_value": "number",
        "lifetime_value": "number",
        "adoption_score": "number",
        "customer_since": "date",
        "renewal_date": "date",
        "customer_days": "number",
        "won_deals": "number",
        "orders": "number",
        "products": "number",
        "cases": "number",
        "open_cases": "number",
    },
}
"""Fields with names of our own, the same as in the models; `customer_days` and the counts are computed. Any other name is
a column of the CRM: one of the catalogue, or a custom one ending in `__c`."""

SUBJECTS = ("contact", "account")


class FilterError(ValueError):
    """The filter cannot be read, or makes no sense; the text says what is wrong and where."""

    def __init__(self, problem: str, place: int | None = None) -> None:
        super().__init__(problem if place is None else f"at character {place}: {problem}")


@dataclass(frozen=True)
class Condition:
    """One comparison. It holds when the field's value stands in `operator` to any of `values`; `negated` turns it round."""

    subject: str
    field: str
    operator: Operator
    values: tuple[str, ...] = ()
    kind: Literal["text", "number", "boolean"] = "text"
    negated: bool = False

    @property
    def name(self) -> str:
        return f"{self.subject}.{self.field}"

    def as_row(self) -> dict[str, object]:
        """As the definition holds it, for the models."""
        return {
            "subject": self.subject,
            "field": self.field,
            "operator": self.operator,
            "values": list(self.values),
            "kind": self.kind,
            "negated": self.negated,
        }


Clauses = tuple[tuple[Condition, ...], ...]
"""Any clause of which all conditions hold lets a contact in; no clause at all: everyone."""


def parse_filter(text: str) -> Clauses:
    """The clauses of a filter; none for an empty text. Raises FilterError for one that cannot be read, names a field
    that does not exist, compares what cannot be compared, or can never be true."""
    if len(text) > MAX_LENGTH:
        raise FilterError(f"the filter is longer than {MAX_LENGTH:,} characters; make it simpler, or use `in [...]`")
    _check_visible(text)
    if not text.strip():
        return ()
    tree = _Parser(text).whole()
    clauses = tuple(_tidy(clause) for clause in _clauses(tree, negated=False))
    possible = tuple(clause for clause in clauses if _contradiction(clause) is None)
    if not possible:
        raise FilterError(f"the filter can never be true: {_contradiction(clauses[0])}")
    return tuple(dict.fromkeys(possible))


def fields_of(clauses: Clauses) -> set[tuple[str, str]]:
    """All (subject, field) that the clauses look at."""
    return {(condition.subject, condition.field) for clause in clauses for condition in clause}


def _check_visible(text: str) -> None:
    for place, character in enumerate(text, start=1):
        if character not in "\t\n" and unicodedata.category(character) in _INVISIBLE:
            raise FilterError(f"U+{ord(character):04X} cannot be seen; remove it", place)


# --- reading ---------------------------------------------------------------------------------------------------------

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>'(?:[^'\\]|\\['\\])*'|"(?:[^"\\]|\\["\\])*")
    | (?P<number>-?[0-9]+(?:\.[0-9]+)?)(?![\w.])
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)?)
    | (?P<sign><=|>=|!=|<|>|=|\(|\)|\[|\]|,)
    )""",
    re.VERBOSE,
)
_WORDS = {"and", "or", "not", "in", "is", "empty", "true", "false"}
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Control characters, marks that turn the direction of reading, joiners, surrogates: a reviewer would not see them."""

_QUOTES = "\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u00b4\u0060\uff02\uff07"
"""What word processors make of quotes."""

Tree = tuple
"""('and', left, right), ('or', left, right), ('not', tree) or ('is', condition)."""


@dataclass(frozen=True)
class _Token:
    kind: str
    value: str
    place: int


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._tokens())
        self.at = 0
        self.depth = 0

    def _tokens(self) -> Iterator[_Token]:
        end = len(self.text.rstrip())
        place = 0
        while place < end:
            match = _TOKEN.match(self.text, place)
            if match is None:
                start = place + len(self.text[place:]) - len(self.text[place:].lstrip())
                hint = "; texts stand in straight quotes, such as 'Enterprise'" if self.text[start] in _QUOTES else ""
                raise FilterError(f"'{self.text[start : start + 12]}' cannot be read{hint}", start + 1)
            kind = match.lastgroup or ""
            value = match[kind]
            if kind == "text":
                value = re.sub(r"\\(.)", r"\1", value[1:-1])
            elif kind == "name" and value.lower() in _WORDS:
                kind, value = "word", value.lower()
            yield _Token(kind, value, match.start(match.lastgroup) + 1)
            place = match.end()

    def whole(self) -> Tree:
        tree = self.either()
        if self.at < len(self.tokens):
            self.fail("'and', 'or' or the end")
        return tree

    def either(self) -> Tree:
        tree = self.both()
        while self.take("word", "or"):
            tree = ("or", tree, self.both())
        return tree

    def both(self) -> Tree:
        tree = self.one()
        while self.take("word", "and"):
            tree = ("and", tree, self.one())
        return tree

    def one(self) -> Tree:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise FilterError(f"nested more than {MAX_DEPTH} deep", self.tokens[self.at - 1].place)
        try:
            if self.take("word", "not"):
                return ("not", self.one())
            if self.take("sign", "("):
                tree = self.either()
                self.need("sign", ")")
                return tree
            return self.comparison()
        finally:
            self.depth -= 1

    def comparison(self) -> Tree:
        token = self.next("a field such as account.tier")
        if token.kind != "name" or "." not in token.value:
            self.at -= 1
            self.fail("a field such as account.tier")
        subject, field, kind = _field(token)
        if self.take("word", "is"):
            negated = self.take("word", "not")
            self.need("word", "empty")
            return ("is", Condition(subject, field, "empty", negated=negated))
        negated = self.take("word", "not")
        if negated or (self.tokens[self.at : self.at + 1] and self.tokens[self.at].value == "in"):
            self.need("word", "in")
            return ("is", _condition(token, subject, field, kind, "=", self.values(), negated))
        sign = self.next("one of = != < <= > >= in, is empty")
        if sign.kind != "sign" or sign.value not in ("=", "!=", "<", "<=", ">", ">="):
            self.at -= 1
            self.fail("one of = != < <= > >= in, is empty")
        value = (self.value(),)
        operator: Operator = "=" if sign.value == "!=" else sign.value  # type: ignore[assignment]
        return ("is", _condition(token, subject, field, kind, operator, value, sign.value == "!="))

    def values(self) -> tuple[_Token, ...]:
        self.need("sign", "[")
        values = [self.value()]
        while self.take("sign", ","):
            values.append(self.value())
        self.need("sign", "]")
        return tuple(values)

    def value(self) -> _Token:
        token = self.next("a value: 'text', a number, true or false")
        if token.kind in ("text", "number") or token.value in ("true", "false"):
            return token
        self.at -= 1
        return self.fail("a value: 'text', a number, true or false")

    def take(self, kind: str, value: str) -> bool:
        if self.at < len(self.tokens) and (self.tokens[self.at].kind, self.tokens[self.at].value) == (kind, value):
            self.at += 1
            return True
        return False

    def need(self, kind: str, value: str) -> None:
        if not self.take(kind, value):
            self.fail(f"'{value}'")

    def next(self, wanted: str) -> _Token:
        if self.at >= len(self.tokens):
            self.fail(wanted)
        self.at += 1
        return self.tokens[self.at - 1]

    def fail(self, wanted: str):
        if self.at >= len(self.tokens):
            raise FilterError(f"ends where {wanted} should stand")
        token = self.tokens[self.at]
        raise FilterError(f"'{token.value[:20]}' stands where {wanted} should", token.place)


def _field(token: _Token) -> tuple[str, str, Kind]:
    name = token.value
    subject, field = name.split(".")
    subject = subject.lower()
    if subject not in SUBJECTS:
        raise FilterError(f"there is no field '{name}'; all begin with contact. or account.", token.place)
    own = FIELDS[subject]
    if field.lower() in own:
        return subject, field.lower(), own[field.lower()]
    columns = {column.lower(): column for column in CRM_OBJECTS[subject]}
    if field.lower() in _PERSONAL:
        raise FilterError(f"'{name}' is personal data and cannot decide who is asked", token.place)
    if field.lower() in columns:
        column = columns[field.lower()]
        return subject, column, "date" if column in CRM_TIMES else "any"
    if re.fullmatch(r"[A-Za-z]\w{0,76}__c", field):
        return subject, field, "any"
    near = difflib.get_close_matches(field.lower(), [*own, *columns], n=1)
    hint = f"did you mean {subject}.{near[0]}?" if near else "a custom field of the CRM ends in __c"
    raise FilterError(f"there is no field '{name}'; {hint}", token.place)


_PERSONAL = {"email", "firstname", "lastname", "first_name", "last_name"}


def _condition(
    token: _Token, subject: str, field: str, kind: Kind, operator: Operator, tokens: tuple[_Token, ...], negated: bool
) -> Condition:
    name, place = token.value, tokens[0].place
    kinds = {"number" if token.kind == "number" else "boolean" if token.kind == "word" else "text" for token in tokens}
    if len(kinds) > 1:
        raise FilterError(f"the values of {name} are of different kinds", place)
    given = kinds.pop()
    fits = {"any": given, "date": "text"}.get(kind, kind)
    if given != fits:
        raise FilterError(f"{name} is a {kind}, and is compared with a {given}", place)
    values = tuple(dict.fromkeys(_plain(token) if given == "number" else token.value for token in tokens))
    if any(not value.strip() for value in values):
        raise FilterError(f"{name} is compared with an empty text; write `is empty`", place)
    if any(value != value.strip() for value in values):
        raise FilterError(
            f"{name} is compared with a text that begins or ends with a blank, which no field does", place
        )
    if kind == "date" and not all(_is_date(value) for value in values):
        raise FilterError(f"{name} is a date; write it as '2026-03-01'", place)
    ordered = given == "number" or (kind in ("date", "any") and all(_is_date(value) for value in values))
    if operator != "=" and not ordered:
        raise FilterError(f"{name} {operator} needs a number or a date such as '2026-03-01'", place)
    return Condition(subject, field, operator, values, given, negated)  # type: ignore[arg-type]


def _plain(token: _Token) -> str:
    """One writing for each number: 10, 10.0 and 010 are the same."""
    if len(token.value.strip("-").replace(".", "")) > MAX_DIGITS:
        raise FilterError(f"a number of more than {MAX_DIGITS} digits", token.place)
    plain = format(Decimal(token.value).normalize(), "f")
    return "0" if plain == "-0" else plain


def _is_date(value: str) -> bool:
    try:
        # The pattern too: Python reads further ISO forms, which the models do not.
        return bool(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value) and dt.date.fromisoformat(value))
    except ValueError:
        return False


# --- clauses ---------------------------------------------------------------------------------------------------------


def _clauses(tree: Tree, *, negated: bool) -> tuple[tuple[Condition, ...], ...]:
    if tree[0] == "is":
        condition: Condition = tree[1]
        return ((_turned(condition) if negated else condition,),)
    if tree[0] == "not":
        return _clauses(tree[1], negated=not negated)
    left, right = _clauses(tree[1], negated=negated), _clauses(tree[2], negated=negated)
    if (tree[0] == "or") != negated:
        found = left + right
    else:
        if len(left) * len(right) > MAX_CLAUSES:
            raise FilterError("the filter has too many alternatives; make it simpler, or use `in [...]`")
        found = tuple(a + b for a, b in product(left, right))
    if len(found) > MAX_CLAUSES:
        raise FilterError("the filter has too many alternatives; make it simpler, or use `in [...]`")
    return found


def _turned(condition: Condition) -> Condition:
    return replace(condition, negated=not condition.negated)


def _tidy(clause: tuple[Condition, ...]) -> tuple[Condition, ...]:
    return tuple(dict.fromkeys(clause))


def _contradiction(clause: tuple[Condition, ...]) -> str | None:
    """Why no record can meet all conditions of a clause, in words; None when one may."""
    for name in dict.fromkeys(condition.name for condition in clause):
        about = [condition for condition in clause if condition.name == name]
        if any(_turned(one) in about for one in about):
            return f"{name} is to be and not to be the same"
        demanded = [one for one in about if not one.negated]
        if any(one.operator == "empty" for one in demanded) and len(demanded) > 1:
            return f"{name} is to be empty and to have a value"
        # A field of the CRM may be compared as text here and as number there: '05' is a 5 too.
        for kind in dict.fromkeys(one.kind for one in demanded):
            if why := _no_value(name, [one for one in about if one.kind == kind]):
                return why
    return None


def _no_value(name: str, about: list[Condition]) -> str | None:
    demanded = [one for one in about if not one.negated]
    equal = [set(one.values) for one in demanded if one.operator == "="]
    if equal:
        left = set.intersection(*equal)
        left -= {value for one in about if one.negated and one.operator == "=" for value in one.values}
        if not any(all(_holds(value, one) for one in demanded) for value in left):
            return f"no value of {name} fits all that is demanded of it"
    low = [one for one in demanded if one.operator in (">", ">=")]
    high = [one for one in demanded if one.operator in ("<", "<=")]
    for floor in low:
        for ceiling in high:
            a, b = _comparable(floor.values[0], floor), _comparable(ceiling.values[0], ceiling)
            if a > b or (a == b and (floor.operator, ceiling.operator) != (">=", "<=")):
                return f"{name} is to be over {floor.values[0]} and under {ceiling.values[0]}"
    return None


def _comparable(value: str, one: Condition) -> Decimal | str:
    return Decimal(value) if one.kind == "number" else value


def _holds(value: str, one: Condition) -> bool:
    if one.operator in ("=", "empty"):
        return True
    a, b = _comparable(value, one), _comparable(one.values[0], one)
    return {"<": a < b, "<=": a <= b, ">": a > b, ">=": a >= b}[one.operator]
