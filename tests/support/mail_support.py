"""Which HTML and CSS a mail uses, and which mail programs know it.

The data is caniemail.com's (MIT, by Rémi Parmentier and contributors), cut down to the newest result of each program of three
families. `python tests/support/mail_support.py caniemail.json` writes it anew from the file of that name in the npm package
`caniemail`.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

DATA = Path(__file__).with_name("mail_support.json")
FAMILIES = ("outlook", "gmail", "apple-mail")

TAGS = {"table": "html-table", "div": "html-div", "span": "html-span", "p": "html-p", "h1": "html-h1-h6"} | {
    tag: f"html-{tag}" for tag in ("img", "style", "body")
}
PLAIN_TAGS = {"html", "head", "title", "meta", "br", "a", "tbody", "tr", "td"}
"""Nothing is measured of these: every program knows them."""
ATTRIBUTES = {
    name: f"html-{name}"
    for name in ("align", "valign", "width", "height", "cellpadding", "cellspacing", "dir", "lang", "role", "target")
    + ("aria-label", "aria-hidden")
}
PLAIN_ATTRIBUTES = set(
    [
        "href",
        "src",
        "alt",
        "class",
        "style",
        "border",
        "rel",
        "tabindex",
        "name",
        "content",
        "charset",
        "http-equiv",
        "type",
        "media",
    ]
)
PLAIN_ATTRIBUTES |= {"bgcolor", "aria-roledescription"} | {"xmlns", "xmlns:v", "xmlns:o"}
GROUPS = ("padding", "margin", "border", "background")
PROPERTIES = {"font-family": "css-font", "color": "css-modern-color"}
PLAIN_PROPERTIES = {"color", "-webkit-text-size-adjust", "-ms-text-size-adjust", "-ms-interpolation-mode"}
PLAIN_PROPERTIES |= {"supported-color-schemes"}
SELECTORS = {"class": r"\.", "attribute": r"\[", "child": ">", "descendant": r"[\w\]] +[.\w#\[]", "grouping": ","}


@cache
def known() -> dict[str, dict[str, str]]:
    """For each feature the newest result of each program: 'y', 'a' (in part), 'n' or 'u' (unknown)."""
    return json.loads(DATA.read_text(encoding="utf-8"))["features"]


def lacking(feature: str) -> set[str]:
    """The programs that don't know a feature, such as 'outlook/windows'. Raises KeyError for an unknown feature."""
    return {program for program, result in known()[feature].items() if result == "n"}


class Uses(HTMLParser):
    """The features of a mail: `inline`, on which it stands, and `in_blocks`, what its style blocks add."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.inline: set[str] = set()
        self.in_blocks: set[str] = set()
        self.unknown: set[str] = set()
        """Tags, attributes and properties that this file has no name for."""
        self._in_style = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        self._note(TAGS.get(tag), tag, PLAIN_TAGS)
        for name, value in attrs:
            self._note(ATTRIBUTES.get(name), name, PLAIN_ATTRIBUTES)
            if name == "style":
                self.inline |= self._declared(value or "")
            if (name, value) == ("name", "color-scheme"):
                self.in_blocks.add("html-meta-color-scheme")

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self.in_blocks |= {*_rules(data)}
            for block in re.findall(r"\{([^{}]*)\}", data):
                self.in_blocks |= self._declared(block)

    def _note(self, feature: str | None, name: str, plain: set[str]) -> None:
        if feature:
            self.inline.add(feature)
        elif name not in plain:
            self.unknown.add(name)

    def _declared(self, style: str) -> set[str]:
        found = set()
        for name, value in declarations(style):
            if feature := feature_of(name, value):
                found.add(feature)
            elif name not in PLAIN_PROPERTIES and not name.startswith("mso-"):
                self.unknown.add(name)
            found |= {
                f"css-unit-{'percent' if unit == '%' else unit}" for unit in re.findall(r"\d(px|em|rem|%)", value)
            }
            if "!important" in value:
                found.add("css-important")
        return found


def declarations(style: str) -> Iterator[tuple[str, str]]:
    """Property and value of each declaration."""
    for one in style.split(";"):
        name, colon, value = one.partition(":")
        if colon:
            yield name.strip().lower(), value.strip()


def feature_of(name: str, value: str) -> str | None:
    """caniemail's name of a declaration, None where it has none."""
    if name == "display" and f"css-display-{value}" in known():
        return f"css-display-{value}"
    if name in PROPERTIES and name not in PLAIN_PROPERTIES:
        return PROPERTIES[name]
    group = next((group for group in GROUPS if name.startswith(f"{group}-")), None)
    features = known()
    return next((found for found in (f"css-{name}", f"css-{group}") if found in features), None)


def _rules(css: str) -> Iterator[str]:
    for condition in re.findall(r"@media([^{]*)", css):
        yield "css-at-media-prefers-color-scheme" if "prefers-color-scheme" in condition else "css-at-media"
    for selector in re.findall(r"([^{};@]+)\{", css):
        yield from (f"css-selector-{name}" for name, mark in SELECTORS.items() if re.search(mark, selector.strip()))


def write(source: Path) -> None:
    """The data anew, from the package's file."""
    package = json.loads(source.read_text(encoding="utf-8"))
    features = {
        feature["slug"]: {
            f"{family}/{program}": [*versions.values()][-1].split()[0]
            for family in FAMILIES
            for program, versions in feature["stats"].get(family, {}).items()
        }
        for feature in package["data"]
        if feature["category"] in ("html", "css")
    }
    head = {"source": "https://www.caniemail.com", "licence": "MIT", "updated": package["last_update_date"]}
    lines = ",\n".join(f"{json.dumps(slug)}: {json.dumps(results)}" for slug, results in sorted(features.items()))
    text = json.dumps(head, indent=0).removesuffix("\n}") + f',\n"features": {{\n{lines}\n}}}}\n'
    DATA.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
