"""The house's own templates, and layouts that are rendered once and filled per person."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

TEMPLATES = ImmutableSandboxedEnvironment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)

# Private-use characters: no template of ours holds them, and values never pass through the split.
_OPEN, _CLOSE = "\ue000", "\ue001"
_SLOT = re.compile(f"{_OPEN}([a-z_]+){_CLOSE}")


def slot(name: str) -> Markup:
    """Where a person's value goes in a layout."""
    return Markup(f"{_OPEN}{name}{_CLOSE}")


def without_slots(text: str) -> str:
    """A text of the layout itself, which must not hold what marks a slot."""
    return text.replace(_OPEN, "").replace(_CLOSE, "")


class Layout:
    """A template rendered once per look; `fill` only joins strings, so that a mail costs microseconds."""

    def __init__(self, rendered: str) -> None:
        pieces = _SLOT.split(rendered)
        self._pieces, self._slots = pieces, pieces[1::2]

    def fill(self, values: Mapping[str, str]) -> str:
        """The finished text; values must be escaped already where the layout is HTML."""
        pieces = self._pieces.copy()
        pieces[1::2] = [values[name] for name in self._slots]
        return "".join(pieces)


def payload_of(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The payload of a message, which the ledger keeps as JSON text."""
    payload = message["payload"]
    return json.loads(payload) if isinstance(payload, str | bytes) else payload


def logo_address(url: str | None) -> str | None:
    """The logo, if it can be fetched over the web; anything else (a `javascript:` or `file:` address) is left out."""
    return url if url and urlsplit(url).scheme in {"http", "https"} else None
