"""The texts that analysts write in a survey, with the person's values put in.

They are templates of a few words (variables, conditions, six filters), which are looked at before anything is run: so none can
reach the program or keep it busy. They give plain text, never markup: whoever shows the result escapes it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, UndefinedError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment, SecurityError

from closedloop.errors import BadInput

VARIABLES = ("first_name", "last_name", "contact_name", "account_name", "company", "owner_name", "csm_name")
"""What may stand between {{ and }} in a survey's texts."""

SAMPLE = {
    "first_name": "Alex",
    "last_name": "Sample",
    "contact_name": "Alex Sample",
    "account_name": "Sample & Sons",
    "owner_name": "Robin Owner",
    "csm_name": "Kim Success",
}
"""A person for previews; the company comes from the survey."""

MAX_LENGTH, MAX_DEPTH = 2_000, 20
_FILTERS = frozenset({"capitalize", "default", "lower", "title", "trim", "upper"})
# No loops, calls, attributes or arithmetic: `{{ 'a' * 10**9 }}` would be reckoned while it is compiled.
_PARTS = (
    *(
        nodes.Template,
        nodes.Output,
        nodes.TemplateData,
        nodes.Name,
        nodes.Const,
        nodes.Filter,
        nodes.If,
        nodes.CondExpr,
    ),
    *(nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not),
)
_ENVIRONMENT = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)


def dialled(number: str) -> str:
    """A phone number for a `tel:` link, or '' where there is none in it."""
    digits = re.sub(r"[^0-9]", "", number)
    return f"{'+' if number.strip().startswith('+') else ''}{digits}" if digits else ""


def values_of(payload: Mapping[str, Any]) -> dict[str, str]:
    """The variables of one message payload; what the CRM does not know is empty."""
    values = {name: str(payload.get(name) or "").strip() for name in VARIABLES}
    values["company"] = values["company"] or str((payload.get("definition") or {}).get("company") or "")
    return values


def fill(text: str, values: Mapping[str, str], *, field: str = "text") -> str:
    """`text` with its variables replaced, as plain text; cut where a person's values make it too long. Raises BadInput that
    names `field`, never a value.
    """
    if len(text) > MAX_LENGTH:
        raise BadInput(f"the text is longer than {MAX_LENGTH:,} characters", field=field, remedy="shorten it")
    try:
        template = _compiled(text)
        result = text if template is None else template.render(values)
    except TemplateSyntaxError as error:
        raise BadInput(f"the text is not a valid template: {error.message}", field=field, remedy=_REMEDY) from None
    except UndefinedError as error:
        raise BadInput(f"unknown variable: {error.message}", field=field, remedy=_REMEDY) from None
    except SecurityError:
        raise BadInput("the text asks for something that templates may not do", field=field, remedy=_REMEDY) from None
    except (RecursionError, SyntaxError, MemoryError):  # of the compiler, which has seen no value yet
        raise BadInput("the text is nested too deeply", field=field, remedy=_REMEDY) from None
    except (TemplateError, ArithmeticError, TypeError, ValueError, LookupError) as error:
        raise BadInput(f"the text fails as a template ({type(error).__name__})", field=field, remedy=_REMEDY) from None
    result = result[:MAX_LENGTH]
    return result if values.get("first_name") or template is None else _without_name(result)


_REMEDY = "variables are " + ", ".join("{{ " + name + " }}" for name in VARIABLES)


@lru_cache(maxsize=4096)
def _compiled(text: str) -> Template | None:
    """None when the text holds no template syntax: most are constant, and constants are free."""
    if not re.search(r"\{[{%#]", text):
        return None
    _look_at(_ENVIRONMENT.parse(text))
    return _ENVIRONMENT.from_string(text)


def _look_at(node: nodes.Node, depth: int = 0) -> None:
    """Raises SecurityError or UndefinedError for what a text may not hold, in branches that are never taken too, and
    RecursionError for what Python's compiler would take long over: 320 filters in a row keep it busy for 20 seconds.
    """
    if depth > MAX_DEPTH:
        raise RecursionError
    if isinstance(node, nodes.Name) and node.name not in VARIABLES:
        raise UndefinedError(f"'{node.name}' is undefined")
    if not isinstance(node, _PARTS) or (isinstance(node, nodes.Filter) and node.name not in _FILTERS):
        raise SecurityError
    for child in node.iter_child_nodes():
        _look_at(child, depth + 1)


def _without_name(text: str) -> str:
    """Mend what a missing first name leaves: ', one question' becomes 'One question', 'Hi , you' becomes 'Hi, you'."""
    text = re.sub(r"\s+([,.!?])", r"\1", text).lstrip(" ,;:!.-\u2013\u2014").strip()
    return text[:1].upper() + text[1:]
