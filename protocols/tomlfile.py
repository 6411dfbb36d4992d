"""A TOML file of ours: its content, and the line on which each key stands, so that every complaint can name it.

`tomllib` gives the values and decides what is TOML; the scan here only finds lines and is never believed about values.
Paths are tuples as pydantic's `loc` writes them: ("channel", 0, "link").
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocols.errors import TomlProblem

Path_ = tuple[str | int, ...]
_TABLE = re.compile(r"^\s*\[([^\[\]]+)\]\s*(?:#.*)?$")
_ARRAY = re.compile(r"^\s*\[\[([^\[\]]+)\]\]\s*(?:#.*)?$")
_KEY = re.compile(r"""^\s*((?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[A-Za-z0-9_-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART = re.compile(r"""[A-Za-z0-9_-]+|"[^"]*"|'[^']*'""")
_BAD_LINE = re.compile(r"at line (\d+), column (\d+)")
FORMAT = 1


@dataclass(frozen=True, slots=True)
class TomlFile:
    """Content and lines of one file."""

    name: str
    data: dict[str, Any]
    lines: dict[Path_, int] = field(repr=False)

    def line_of(self, path: Sequence[str | int]) -> int:
        """The line of a key, or of the nearest table above it; 1 for the file itself."""
        for length in range(len(path), 0, -1):
            if line := self.lines.get(tuple(path[:length])):
                return line
        return 1

    def at(self, path: Sequence[str | int]) -> str:
        """`collector.toml:12: channel.0.link`, for the front of a message."""
        return f"{self.name}:{self.line_of(path)}: {'.'.join(map(str, path))}"


def read_toml(path: Path, name: str | None = None) -> TomlFile:
    """Read and parse a file. :raises TomlProblem: naming file, line and column."""
    shown = name or str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise TomlProblem(f"{shown}: {reason}") from error
    return parse_toml(text, shown)


def parse_toml(text: str, name: str) -> TomlFile:
    """Parse text that came from `name`. :raises TomlProblem: as `read_toml`."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _BAD_LINE.search(str(error))
        line = place.group(1) if place else str(text.count("\n") + 1)
        raise TomlProblem(f"{name}:{line}: not TOML: {error}") from error
    document = TomlFile(name, data, dict(_scan(text)))
    newest = data.get("format", FORMAT)
    if newest != FORMAT or newest is True:  # true equals 1
        where = document.at(("format",))
        raise TomlProblem(f"{where}: this file says {newest!r}; this version of chaobiao reads format {FORMAT}")
    return document


def _scan(text: str) -> list[tuple[Path_, int]]:
    found: list[tuple[Path_, int]] = []
    table: Path_ = ()
    counts: dict[Path_, int] = {}
    quote = ""
    depth = 0
    for number, line in enumerate(text.splitlines(), start=1):
        if not quote and depth == 0:
            if match := _ARRAY.match(line):
                parts = _resolve(match.group(1), counts)
                counts[parts] = counts.get(parts, -1) + 1
                table = (*parts, counts[parts])
                found += [(parts, number), (table, number)] if counts[parts] == 0 else [(table, number)]
                continue
            if match := _TABLE.match(line):
                table = _resolve(match.group(1), counts)
                found.append((table, number))
                continue
            if match := _KEY.match(line):
                found.append(((*table, *_parts(match.group(1))), number))
        quote, depth = _after(line, quote, depth)
    return found


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def _resolve(dotted: str, counts: dict[Path_, int]) -> Path_:
    """The path of a table header: parts that are arrays of tables get the index of their latest element."""
    path: Path_ = ()
    parts = _parts(dotted)
    for place, part in enumerate(parts):
        path = (*path, part)
        if path in counts and place < len(parts) - 1:
            path = (*path, counts[path])
    return path


def _after(line: str, quote: str, depth: int) -> tuple[str, int]:
    """Which string is still open, and how deep in brackets we are, at the end of a line."""
    place = 0
    while place < len(line):
        if quote:
            if line.startswith("\\", place) and quote[0] == '"':
                place += 2
                continue
            if line.startswith(quote, place):
                place += len(quote)
                quote = ""
                continue
        elif line.startswith(('"""', "'''"), place):
            quote = line[place : place + 3]
            place += 3
            continue
        elif line[place] in "\"'":
            quote = line[place]
        elif line[place] == "#":
            break
        elif line[place] in "[{":
            depth += 1
        elif line[place] in "]}":
            depth -= 1
        place += 1
    return (quote if len(quote) == 3 else ""), max(depth, 0)
