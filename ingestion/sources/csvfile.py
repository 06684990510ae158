"""The look of a CSV file before it is loaded: encoding, separator, header, line ends, content hash."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from closedloop.errors import BadInput

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
LONGEST_FIELD = 16 * 1024 * 1024
BLOCK = 8 * 1024 * 1024


@dataclass(frozen=True)
class BadLine:
    """A line that is no row: `reason` is malformed_row, truncated_row or unclosed_quote; `cells` what stands there."""

    line: int
    reason: str
    cells: tuple[str, ...]


@dataclass
class CsvFile:
    """A file that can be read. What loading it finds is added to it."""

    path: Path
    headers: tuple[str, ...]
    delimiter: str
    shape: Shape
    rows: int = 0
    bad_lines: list[BadLine] = field(default_factory=list)
    warnings: list[BadInput] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """False where the end is missing or some row could not be read: absence from the file then proves nothing."""
        return self.shape.ends_with_line and not self.bad_lines

    def has(self, header: str) -> bool:
        """Whether there is such a column; blanks around it and upper or lower case do not matter."""
        return header.strip().casefold() in {name.casefold() for name in self.headers}


@dataclass(frozen=True)
class Shape:
    """What one pass over the bytes tells."""

    encoding: str
    line_ends: int
    ends_with_line: bool
    content_hash: str

    @property
    def lines(self) -> int:
        return self.line_ends + (not self.ends_with_line)


def look_at(path: Path) -> Shape:
    """Encoding, count of line ends and SHA-256 of a file in one pass. Raises BadInput when it is empty or no text."""
    digest, line_ends, first, last, utf8 = hashlib.sha256(), 0, b"", b"", True
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
                line_ends += block.count(b"\n")
                first, last = first or block[:4], block[-1:]
                utf8 = utf8 and _decodes(decoder, block)
    except OSError as error:
        raise BadInput(f"cannot be read ({error.strerror})", file=path, remedy="check path and permissions") from None
    if not first:
        raise BadInput("the file is empty", file=path, remedy="export it again, with a header line")
    if first.startswith(b"PK"):
        raise BadInput("this is a workbook or an archive, not a CSV file", file=path, remedy="save it as 'CSV UTF-8'")
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        return Shape("utf-16", line_ends, True, digest.hexdigest())
    utf8 = utf8 and _decodes(decoder, b"", final=True)
    return Shape("utf-8" if utf8 else "cp1252", line_ends, last in b"\r\n", digest.hexdigest())


def _decodes(decoder: codecs.IncrementalDecoder, block: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(block, final)
    except UnicodeDecodeError:
        return False
    return True


def open_csv(path: Path, shape: Shape | None = None, *, needed: set[str] = frozenset()) -> CsvFile:  # type: ignore[assignment]
    """Reads the header. The separator is the one under which most of the `needed` column names appear.

    Raises BadInput when there is no usable header.
    """
    shape = shape or look_at(path)
    headers, delimiter = _header(path, shape, {name.strip().casefold() for name in needed})
    seen: set[str] = set()
    for position, name in enumerate(headers):
        headers[position] = name = name or f"column_{position + 1}"
        if name.casefold() in seen:
            raise BadInput(
                "two columns have the same name", file=path, line=1, field=name, remedy="rename or remove one of them"
            )
        seen.add(name.casefold())
    file = CsvFile(path, tuple(headers), delimiter, shape)
    if delimiter != ",":
        file.warnings.append(BadInput(f"read as separated by {DELIMITERS[delimiter]}", file=path, line=1))
    if shape.encoding == "cp1252":
        file.warnings.append(
            BadInput("not UTF-8, read as Latin-1 (Windows-1252)", file=path, remedy="export as UTF-8 to be sure")
        )
    if not shape.ends_with_line:
        file.warnings.append(
            BadInput(
                "the last line has no line end: the file may be cut off, so nothing is taken as deleted",
                file=path,
                line=shape.lines,
                remedy="export again, or end the last line if the file is whole",
            )
        )
    return file


def _header(path: Path, shape: Shape, wanted: set[str]) -> tuple[list[str], str]:
    best: tuple[int, int, list[str], str] | None = None
    for delimiter in DELIMITERS:
        try:
            with open_text(path, shape) as file:
                names = [name.strip() for name in next(csv.reader(file, delimiter=delimiter), [])]
        except csv.Error:
            continue
        found = len(wanted & {name.casefold() for name in names})
        # The comma is tried first: another one must do better.
        if best is None or (found, len(names)) > best[:2]:
            best = (found, len(names), names, delimiter)
        if wanted and found == len(wanted):
            break
    if best is None or not any(best[2]):
        raise BadInput("the first line holds no column names", file=path, line=1, remedy="begin with a header line")
    return best[2], best[3]


def open_text(path: Path, shape: Shape) -> io.TextIOWrapper:
    """The file as text. Five bytes mean nothing in Windows-1252: they become U+FFFD instead of stopping the import."""
    encoding = {"utf-8": "utf-8-sig"}.get(shape.encoding, shape.encoding)
    return path.open(encoding=encoding, newline="", errors="replace")


def records(file: CsvFile) -> Iterator[tuple[int, list[str], str]]:
    """Python's reader: (line at which a record starts, its cells, '' or why it is none), without header and blanks."""
    csv.field_size_limit(LONGEST_FIELD)
    with open_text(file.path, file.shape) as text:
        reader = csv.reader(text, delimiter=file.delimiter, strict=True)
        next(reader)
        while True:
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield line, [], "unclosed_quote" if "unexpected end" in str(error) else "malformed_row"
                continue
            if not cells:
                continue
            broken = "" if len(cells) == len(file.headers) else "malformed_row"
            if broken and not file.shape.ends_with_line and reader.line_num == file.shape.lines:
                broken = "truncated_row"
            yield line, cells, broken
