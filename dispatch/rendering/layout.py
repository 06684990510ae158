"""The house's own templates, and layouts that are rendered once and filled per person."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from copy import copy
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import mrml
from jinja2 import FileSystemLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from closedloop.colours import DARK_CARD, DARK_INK, DARK_MUTED, DARK_PAGE, INK, MUTED, palette

TEMPLATES = ImmutableSandboxedEnvironment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(["html", "mjml"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)

FONT = "-apple-system,BlinkMacSystemFont,Segoe UI,Roboto,Helvetica,Arial,sans-serif"

_SLOT = re.compile("@@([a-z_0-9]+)@@")


class Layout:
    """A template whose texts are all slots, `@@name@@`; `fill` only joins strings, so that a mail costs microseconds.

    Values never pass through a template engine or the split: whatever stands in them is shown as it is.
    """

    def __init__(self, template: str) -> None:
        self._pieces = _SLOT.split(template)

    def with_values(self, values: Mapping[str, str]) -> Layout:
        """The layout with these slots filled for good; the others stay slots."""
        filled, pieces = copy(self), [self._pieces[0]]
        for name, after in zip(self._pieces[1::2], self._pieces[2::2], strict=True):
            if name in values:
                pieces[-1] += values[name] + after
            else:
                pieces += [name, after]
        filled._pieces = pieces
        return filled

    def fill(self, values: Mapping[str, str]) -> str:
        """The finished text; values must be escaped already where the layout is HTML."""
        pieces = self._pieces.copy()
        pieces[1::2] = [values[name] for name in pieces[1::2]]
        return "".join(pieces)


def from_mjml(template: str, view: Mapping[str, Any]) -> Layout:
    """A template of MJML, compiled to HTML that mail programs show; in lines that need no transfer encoding."""
    # Without `fonts` the compiler fetches known ones from a third party.
    options = mrml.RenderOptions(fonts={})
    html = mrml.to_html(TEMPLATES.get_template(template).render(view), render_options=options).content
    return Layout(_in_lines(html))


_LINE, _SLOT_LENGTH = 700, 150
_SAME_CONDITION = re.compile(r"<!\[endif\]-->\s*<!--\[if mso \| IE\]>")
"""Between two comments for Outlook."""
_MAY_BREAK = re.compile(r"(?<=>)(?=<)|(?<=\})\s+(?=[^\s<])")


def _in_lines(html: str) -> str:
    """As few lines as SMTP takes without an encoding, however long what fills the slots usually is; none begins with a dot,
    which would have to be doubled in every mail.
    """
    lines, length = [""], 0
    compact = _SAME_CONDITION.sub("", re.sub(r"\s+", " ", html))
    for piece in _MAY_BREAK.split(compact):
        wide = len(piece) + piece.count("@@") // 2 * _SLOT_LENGTH
        if lines[-1] and length + wide > _LINE and not piece.startswith("."):
            lines.append("")
            length = 0
        lines[-1] += piece
        length += wide
    return "\n".join(lines)


def paint(primary: str, background: str) -> dict[str, object]:
    """The colours and the type that templates of mails use."""
    return {
        "colours": palette(primary, background),
        "ink": INK,
        "muted": MUTED,
        "dark": {"page": DARK_PAGE, "card": DARK_CARD, "ink": DARK_INK, "muted": DARK_MUTED},
        "font": f"font-family:{FONT}",
        "font_names": FONT,
    }


def payload_of(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """The payload of a message, which the ledger keeps as JSON text."""
    payload = message["payload"]
    return json.loads(payload) if isinstance(payload, str | bytes) else payload


def logo_address(url: str | None) -> str | None:
    """The logo, if it can be fetched over the web; anything else (a `javascript:` or `file:` address) is left out."""
    return url if url and urlsplit(url).scheme in {"http", "https"} else None
