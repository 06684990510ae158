"""Reading a YAML file into a typed model, with errors that name file, line, field and remedy."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from closedloop.errors import BadInput

Model = TypeVar("Model", bound=BaseModel)


def load_yaml(path: Path, model: type[Model], *, what: str, manual: str) -> Model:
    """The file as `model`. `what` names it in errors ('a survey file'), `manual` is the page that lists its fields.

    Raises BadInput naming file, line, field and remedy.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput("the file is not UTF-8", file=path, remedy="save it as UTF-8") from error
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", file=path) from error
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise BadInput(
            f"not valid YAML: {getattr(error, 'problem', None) or 'cannot be parsed'}",
            file=path,
            line=mark.line + 1 if mark else None,
            remedy="check indentation, colons and quotes on this line",
        ) from None
    if not isinstance(data, dict):
        raise BadInput(f"{what} holds one mapping of fields", file=path, line=1, remedy=f"{manual} shows an example")
    try:
        return model.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput(
            re.sub(r"^Value error, ", "", first["msg"]),
            file=path,
            line=line_of(node, _path_in(data, first["loc"])),
            field=".".join(str(part) for part in _path_in(data, first["loc"])),
            remedy=_remedy(first["type"], manual),
        ) from None


def _path_in(data: object, path: tuple[int | str, ...]) -> tuple[int | str, ...]:
    """`path` without what is no key of the file: the tag by which one of several models was chosen."""
    kept: list[int | str] = []
    for place, part in enumerate(path):
        last = place == len(path) - 1
        if isinstance(data, dict) and (part in data or last):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part] if part < len(data) else None
        else:
            continue
        kept.append(part)
    return tuple(kept)


def _remedy(kind: str, manual: str) -> str:
    return {
        "missing": "add this field",
        "extra_forbidden": f"remove the field or mend its spelling; {manual} lists all fields",
        "enum": "use one of the values named",
        "literal_error": "use one of the values named",
    }.get(kind, f"mend the value; {manual} says what each field takes")


def line_of(node: yaml.Node | None, path: tuple[int | str, ...]) -> int | None:
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
