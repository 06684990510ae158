"""Reading a YAML file into a typed model, with errors that name file, line, field and remedy."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from closedloop.errors import BadInput

Model = TypeVar("Model", bound=BaseModel)
Place = tuple[int | str, ...]


class Fault(ValueError):
    """What a validator found, and where: `at` leads from the validated value to the field that is to be mended."""

    def __init__(self, problem: str, *at: int | str, remedy: str | None = None) -> None:
        super().__init__(problem)
        self.at, self.remedy = at, remedy


def load_yaml(path: Path, model: type[Model], *, what: str, manual: str) -> Model:
    """The file as `model`. `what` names it in errors ('a survey file'), `manual` is the page that lists its fields.

    Raises BadInput naming file, line, field and remedy.
    """
    node, data = _read(path)
    if not isinstance(data, dict):
        raise BadInput(f"{what} holds one mapping of fields", file=path, line=1, remedy=f"{manual} shows an example")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first: dict[str, Any] = error.errors()[0]  # type: ignore[assignment]
    where = _place(data, first)
    raise BadInput(
        _problem(first, model),
        file=path,
        line=line_of(node, where),
        field=".".join(str(part) for part in where) or None,
        remedy=_remedy(first, manual),
    )


class _Loader(yaml.SafeLoader):
    """Refuses what would pass silently or fail without a line: a key that stands twice, a date that does not exist."""

    file: Path

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        lines: dict[object, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            name, line = self.construct_object(key), key.start_mark.line + 1
            if name in lines:
                raise BadInput(
                    f"'{key.value}' stands twice, first on line {lines[name]}; YAML would take the last and say nothing",
                    file=self.file,
                    line=line,
                    field=key.value,
                    remedy="keep one of the two",
                )
            lines[name] = line
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except ValueError as error:
            raise BadInput(
                f"'{str(node.value)[:40]}' cannot be read ({error})",
                file=self.file,
                line=node.start_mark.line + 1,
                remedy="mend the value, or put it in quotes if it is a text",
            ) from None


def _read(path: Path) -> tuple[yaml.Node | None, object]:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput("the file is not UTF-8", file=path, remedy="save it as UTF-8") from error
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", file=path) from error
    try:
        loader = _Loader(text)
        loader.file = path
        node = loader.get_single_node()
        return node, None if node is None else loader.construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be parsed"
        raise BadInput(
            f"not valid YAML: {problem}",
            file=path,
            line=mark.line + 1 if mark else None,
            remedy="check indentation, colons and quotes on this line",
        ) from None
    except RecursionError:
        raise BadInput("not valid YAML: nested too deep", file=path, remedy="check the brackets") from None


def _place(data: object, error: dict[str, Any]) -> Place:
    """Where in the file the error stands. Pydantic's own path also has the tag by which one of several models was
    chosen, and lacks the field that chooses it when that is what is wrong."""
    found: list[int | str] = []
    last = len(error["loc"]) - 1
    for step, part in enumerate(error["loc"]):
        stands = part in data if isinstance(data, dict) else isinstance(data, list) and part in range(len(data))
        if stands:
            data = data[part]  # type: ignore[index]
        elif step < last or error["type"] != "missing":
            continue
        found.append(part)
    if error["type"].startswith("union_tag_"):
        found.append(error["ctx"]["discriminator"].strip("'"))
    fault = error.get("ctx", {}).get("error")
    return (*found, *fault.at) if isinstance(fault, Fault) else tuple(found)


def _problem(error: dict[str, Any], model: type[BaseModel]) -> str:
    kind, given, context = error["type"], error["input"], error.get("ctx", {})
    if kind in ("missing", "union_tag_not_found"):
        return "this field is required"
    if kind == "extra_forbidden":
        name = str(error["loc"][-1])
        return f"there is no field '{name}'{_near(name, _fields_at(model, error['loc'][:-1]))}"
    if kind in ("literal_error", "union_tag_invalid"):
        given = context.get("tag", given)
        allowed = context.get("expected") or context["expected_tags"]
        names = re.findall(r"'([^']+)'", allowed)
        return f"'{given}' is not {'one of ' if len(names) > 1 else ''}{allowed}{_near(str(given), names)}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return "here should stand fields, each on a line of its own as `name: value`"
    if kind in ("tuple_type", "list_type"):
        return "here should stand a list, such as [one, two]"
    if kind == "string_type" and given is not None and not isinstance(given, (dict, list)):
        return f"a text is needed, and YAML reads this as {_KINDS.get(type(given), 'something else')} ({given})"
    return re.sub(r"^Value error, ", "", error["msg"])


_KINDS = {bool: "true or false", int: "a number", float: "a number"}


def _near(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(names), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""


def _fields_at(model: type[BaseModel], way: Place) -> list[str]:
    """The fields that may stand where `way` leads, read from the model's schema."""
    schema = model.model_json_schema()
    parts = schema.get("$defs", {})

    def opened(one: dict[str, Any]) -> dict[str, Any]:
        one = next((option for option in one.get("anyOf", ()) if "$ref" in option), one)
        return parts[one["$ref"].rpartition("/")[2]] if "$ref" in one else one

    at = opened(schema)
    for part in way:
        tags = at.get("discriminator", {}).get("mapping", {})
        if part in tags:
            at = {"$ref": tags[part]}
        elif isinstance(part, int):
            at = at.get("items", {})
        else:
            named = at.get("properties", {}).get(part) or at.get("additionalProperties")
            at = named or next(iter(at.get("patternProperties", {}).values()), {})
        at = opened(at) if isinstance(at, dict) else {}
    return list(at.get("properties", {}))


def _remedy(error: dict[str, Any], manual: str) -> str:
    fault = error.get("ctx", {}).get("error")
    if isinstance(fault, Fault) and fault.remedy:
        return fault.remedy
    if error["type"] == "string_type" and error["input"] is not None:
        return "put it in quotes"
    return {
        "missing": "add this field",
        "union_tag_not_found": "add this field",
        "extra_forbidden": f"remove the field or mend its spelling; {manual} lists all fields",
        "enum": "use one of the values named",
        "literal_error": "use one of the values named",
        "union_tag_invalid": "use one of the values named",
    }.get(error["type"], f"mend the value; {manual} says what each field takes")


def line_in(path: Path, *where: int | str) -> int | None:
    """The line of `where` in a file that could be read before."""
    return line_of(_read(path)[0], where)


def line_of(node: yaml.Node | None, path: Place) -> int | None:
    """The line of the deepest part of `path` that stands in the file."""
    if node is None:
        return None
    line = node.start_mark.line + 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value == part:
                    line, node = key.start_mark.line + 1, value
                    break
            else:
                return line
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line
